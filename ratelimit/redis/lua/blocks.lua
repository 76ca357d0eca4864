-- Returns the time and all blocks, as client and block by turns.
-- KEYS: blocks.
local clock = redis.call('TIME')
local all = redis.call('HGETALL', KEYS[1])
table.insert(all, 1, string.format('%.0f', clock[1] * 1000000 + clock[2]))
return all
