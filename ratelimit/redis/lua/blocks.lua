-- Returns the time and all blocks, as client and block by turns.
-- KEYS: blocks.
local all = redis.call('HGETALL', KEYS[1])
table.insert(all, 1, whole(now))
return all
