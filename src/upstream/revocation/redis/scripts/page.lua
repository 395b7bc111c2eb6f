-- page cursor count: some of what is held, each as a record, and the cursor of the next page (0: the last).
-- One script, because a key read here and its `before` read later would be two different moments.
local scanned = redis.call('ZSCAN', untils, ARGV[1], 'COUNT', ARGV[2])
local keys = {}
for i = 1, #scanned[2], 2 do keys[#keys + 1] = scanned[2][i] end
local records = {}
local CHUNK = 1000 -- `unpack` puts all on a stack that has an end
for from = 1, #keys, CHUNK do
    local to = math.min(from + CHUNK - 1, #keys)
    local held = redis.call('HMGET', befores, unpack(keys, from, to))
    for i = from, to do
        records[i] = keys[i] .. string.format('%08x%08x', held[i - from + 1] or EVERY, scanned[2][2 * i])
    end
end
return { scanned[1], records }
