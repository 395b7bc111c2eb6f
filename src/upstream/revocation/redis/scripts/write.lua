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
    local key = string.sub(record, 1, 42)
    local before = tonumber(string.sub(record, 43, 50), 16)
    local till = tonumber(string.sub(record, 51, 58), 16)
    local held_till = redis.call('ZSCORE', untils, key)
    -- Held without a `before`: every token.
    local held_before = held_till and tonumber(redis.call('HGET', befores, key) or EVERY)
    if till < expired then
        dropped = dropped + 1
    elseif which ~= 'lacking' or not held_till or tonumber(held_till) < till or held_before < before then
        redis.call('ZADD', untils, 'GT', till, key)
        if before == EVERY then
            redis.call('HDEL', befores, key)
        elseif not held_before or held_before < before then
            redis.call('HSET', befores, key, before)
        end
        append('record', record, keep)
    end
end
-- Also where nothing was appended: WAIT vouches only for a connection that has written.
remember()
if which == 'awaited' then redis.call('HSET', state, 'awaited', epoch .. '-' .. sequence) end
return { epoch, first, sequence, chain, dropped }
