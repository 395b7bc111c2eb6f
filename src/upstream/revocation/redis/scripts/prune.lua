-- prune now shards: forgets what expired more than a margin ago by both clocks, in so many of the strings that hold
-- records, after those that somebody swept last. Says how much that was, and where the next sweep begins.
local MARGIN_SECONDS = 3600
local SHARDS = 65536
local expired = string.format('%08x', math.max(earliest_second(ARGV[1]) - MARGIN_SECONDS, 0))
local from = tonumber(redis.call('HGET', state, 'swept') or 0)
local pruned = 0
for number = from, from + ARGV[2] - 1 do
    local shard = string.format('%s:%04x', held, number % SHARDS)
    local records = redis.call('GET', shard) or ''
    local kept = {}
    for at = 1, #records, RECORD do
        if string.sub(records, at + 50, at + 57) >= expired then
            kept[#kept + 1] = string.sub(records, at, at + RECORD - 1)
        else
            pruned = pruned + 1
        end
    end
    if #kept == 0 and #records > 0 then
        redis.call('DEL', shard)
    elseif #kept * RECORD < #records then
        redis.call('SET', shard, table.concat(kept))
    end
end
local next = (from + ARGV[2]) % SHARDS
redis.call('HSET', state, 'swept', next)
return { pruned, next }
