-- Ends one request, and judges the client by its answer.
--
-- KEYS: blocks, their ends, their version, the client's errors, leases, and those of
-- whom the request counts under. ARGV: the lease, the judgement (0 neutral, 1
-- success, 2 error), the client's key and name, errors in a row, for how long, errors
-- in a window, its length, the longest block, how long a block is remembered, blocks
-- at most. Returns the block if the client is now blocked for it: its beginning, its
-- end, cause and repeats, and the time.
local blocks, ends, version, errors = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
redis.call('ZREM', KEYS[5], ARGV[1])
redis.call('ZREM', KEYS[6], ARGV[1])

local judgement, client, name = ARGV[2], ARGV[3], ARGV[4]
local inARow, blockTime = tonumber(ARGV[5]), tonumber(ARGV[6])
local window, windowTime = tonumber(ARGV[7]), tonumber(ARGV[8])
local longest, remembered, most = tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11])

if judgement == '0' then return {} end
if judgement == '1' then
  if redis.call('EXISTS', errors) == 1 then redis.call('HSET', errors, 'row', 0) end
  return {}
end

-- what was in flight when a block began does not prolong it
local ended, repeats = last(blocks, client)
if ended and ended > now then return {} end

local known = redis.call('HMGET', errors, 'row', 'last', 'recent')
local since = now - (tonumber(known[2]) or 0)
local row = tonumber(known[1]) or 0
if since >= blockTime or since < 0 then row = 0 end
row = row + 1
local recent = {}
if window > 0 then
  for time in (known[3] or ''):gmatch('%d+') do
    local age = now - time
    if age >= 0 and age < windowTime then recent[#recent + 1] = time end
  end
  recent[#recent + 1] = whole(now)
end

local cause
if inARow > 0 and row >= inARow then
  cause = 'errors_in_a_row'
elseif window > 0 and #recent >= window then
  cause = 'errors_in_window'
end
if not cause then
  redis.call('HSET', errors, 'row', row, 'last', whole(now), 'recent', table.concat(recent, ' '))
  redis.call('PEXPIRE', errors, math.ceil(math.max(blockTime, windowTime) / 1000))
  return {}
end
redis.call('DEL', errors)

local forgotten = redis.call('ZRANGEBYSCORE', ends, '-inf', whole(now - remembered), 'LIMIT', 0, 8)
if redis.call('HLEN', blocks) >= most then -- none that is in force is given up
  forgotten = redis.call('ZRANGEBYSCORE', ends, '-inf', whole(now), 'LIMIT', 0, 8)
end
if #forgotten > 0 then
  redis.call('ZREM', ends, unpack(forgotten))
  redis.call('HDEL', blocks, unpack(forgotten))
end
if not ended and redis.call('HLEN', blocks) >= most then return {} end

if ended and now - ended < remembered then repeats = repeats + 1 else repeats = 0 end
for _ = 1, repeats do
  if blockTime >= longest then break end
  blockTime = blockTime * 2
end
return write(blocks, ends, version, remembered, client, now, now + math.min(blockTime, longest), repeats, cause, name)
