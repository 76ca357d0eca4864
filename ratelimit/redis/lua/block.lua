-- Writes a block down, and forgets the client's errors.
--
-- KEYS: blocks, their ends, their version, the client's errors. ARGV: the client's
-- key and name, beginning and end as counted from now, cause, repeats (-1: one more
-- than the last), how long a block is remembered, and whether one that ends later
-- stays ('1') or not. Returns beginning, end, cause, repeats, and the time.
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local blocks, ends, version = KEYS[1], KEYS[2], KEYS[3]
local client, name, cause = ARGV[1], ARGV[2], ARGV[5]
local since, till, repeats = now + ARGV[3], now + ARGV[4], tonumber(ARGV[6])
local remembered = tonumber(ARGV[7])
local function whole(n) return string.format('%.0f', n) end

local last = redis.call('HGET', blocks, client)
if last then
  local _, ended, before = last:match('^(%d+) (%d+) (%d+)')
  ended = tonumber(ended)
  if ARGV[8] == '1' and ended >= till then return {} end
  if repeats < 0 and now - ended < remembered then repeats = before + 1 end
end
repeats = math.max(0, repeats)
redis.call('DEL', KEYS[4])
redis.call('HSET', blocks, client, table.concat({whole(since), whole(till), repeats, cause, name}, ' '))
redis.call('ZADD', ends, whole(till), client)
local final = redis.call('ZRANGE', ends, -1, -1, 'WITHSCORES')
local keep = math.ceil((final[2] - now + remembered) / 1000)
redis.call('PEXPIRE', blocks, keep)
redis.call('PEXPIRE', ends, keep)
redis.call('INCR', version)
redis.call('PEXPIRE', version, keep)
return {whole(since), whole(till), cause, repeats, whole(now)}
