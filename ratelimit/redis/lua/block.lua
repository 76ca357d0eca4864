-- Writes a block down, and forgets the client's errors.
--
-- KEYS: blocks, their ends, their version, the client's errors. ARGV: the client's
-- key and name, beginning and end as counted from now, cause, repeats (-1: one more
-- than the last), how long a block is remembered, and whether one that ends later
-- stays ('1') or not. Returns beginning, end, cause, repeats, and the time.
local blocks, ends, version = KEYS[1], KEYS[2], KEYS[3]
local client, name, cause = ARGV[1], ARGV[2], ARGV[5]
local since, till, repeats = now + ARGV[3], now + ARGV[4], tonumber(ARGV[6])
local remembered = tonumber(ARGV[7])

local ended, before = last(blocks, client)
if ended then
  if ARGV[8] == '1' and ended >= till then return {} end
  if repeats < 0 and now - ended < remembered then repeats = before + 1 end
end
redis.call('DEL', KEYS[4])
return write(blocks, ends, version, remembered, client, since, till, math.max(0, repeats), cause, name)
