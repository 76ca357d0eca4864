-- Comes before scripts that block clients.

-- write writes a client's block down, for as long as one is remembered after its end.
local function write(blocks, ends, version, remembered, client, since, till, repeats, cause, name)
  redis.call('HSET', blocks, client, table.concat({whole(since), whole(till), repeats, cause, name}, ' '))
  redis.call('ZADD', ends, whole(till), client)
  local final = redis.call('ZRANGE', ends, -1, -1, 'WITHSCORES')
  local keep = math.ceil((final[2] - now + remembered) / 1000)
  redis.call('PEXPIRE', blocks, keep)
  redis.call('PEXPIRE', ends, keep)
  redis.call('INCR', version)
  redis.call('PEXPIRE', version, keep)
  return {whole(since), whole(till), cause, repeats, whole(now)}
end

-- last is the end of the client's last block and how many it had before; nil if none.
local function last(blocks, client)
  local block = redis.call('HGET', blocks, client)
  if not block then return nil end
  local till, repeats = block:match('^%d+ (%d+) (%d+)')
  return tonumber(till), tonumber(repeats)
end
