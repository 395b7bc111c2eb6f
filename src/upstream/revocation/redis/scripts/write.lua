-- write epoch which now keep record...: revokes. Epoch `*` takes the one that is, and begins another where
-- history has changed; a number is a fence. `which` is `always`, `lacking` for what is not held yet, or `awaited` where
-- the caller waits until every daemon notes that it has applied this.
-- `now` is the caller's clock in seconds, `keep` about how many entries the log holds.
local MARGIN_SECONDS = 3600
local which, keep = ARGV[2], tonumber(ARGV[4])
for i = 5, #ARGV do
    if #ARGV[i] ~= 58 or string.find(ARGV[i], '[^0-9a-f]') then
        return redis.error_reply('JOTDRECORD a record is 58 lower-case hexadecimal digits')
    end
end
if ARGV[1] == '*' then
    if not intact then open(1) end
elseif not intact or tonumber(ARGV[1]) ~= epoch then
    return redis.error_reply('JOTDEPOCH this log is in another epoch')
end

local expired = earliest_second(ARGV[3]) - MARGIN_SECONDS
local first, dropped = sequence + 1, 0
for i = 5, #ARGV do
    local record = ARGV[i]
    local key, before, till = string.sub(record, 1, KEY), string.sub(record, 43, 50), string.sub(record, 51)
    local shard = shard_of(key)
    local records = redis.call('GET', shard) or ''
    local at = find(records, key)
    -- Digits of one width compare as the numbers do.
    local had_before, had_till = '', ''
    if at then
        had_before, had_till = string.sub(records, at + 42, at + 49), string.sub(records, at + 50, at + 57)
    end
    local is_news = had_before < before or had_till < till
    if tonumber(till, 16) < expired then
        dropped = dropped + 1
    elseif which ~= 'lacking' or is_news then
        if not at then
            redis.call('APPEND', shard, record)
        elseif is_news then
            local greater_before, greater_till = math.max(tonumber(had_before, 16), tonumber(before, 16)),
                math.max(tonumber(had_till, 16), tonumber(till, 16))
            redis.call('SETRANGE', shard, at - 1 + KEY, string.format('%08x%08x', greater_before, greater_till))
        end
        append('record', record, keep)
    end
end
-- Also where nothing was appended: WAIT vouches only for a connection that has written.
remember()
if which == 'awaited' then redis.call('HSET', state, 'awaited', epoch .. '-' .. sequence) end
return { epoch, first, sequence, chain, dropped }
