-- Begins every script: what time it is, in microseconds of the clock of Redis.
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]

-- whole writes a number without an exponent, which Redis does not read.
local function whole(n) return string.format('%.0f', n) end
