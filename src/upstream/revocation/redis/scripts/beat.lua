-- beat epoch replicas lag every: a sign of life, from which readers renew their leases. Refused by a primary
-- that has not heard from so many replicas for more than `lag` seconds, for it may have been replaced.
-- At most one in `every` milliseconds is written, however many ask.
if not intact or tonumber(ARGV[1]) ~= epoch then
    return redis.error_reply('JOTDEPOCH this log is in another epoch')
end
local good = 0
for condition, lag in string.gmatch(info, 'slave%d+:[^\r\n]-state=(%a+),offset=%d+,lag=(%d+)') do
    if condition == 'online' and tonumber(lag) <= tonumber(ARGV[3]) then good = good + 1 end
end
if good < tonumber(ARGV[2]) then
    return redis.error_reply('NOREPLICAS too few replicas have been heard from')
end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local since = now - tonumber(redis.call('HGET', state, 'beat') or 0)
if since < 0 or since >= tonumber(ARGV[4]) then
    append('beat', '')
    redis.call('HSET', state, 'beat', string.format('%.0f', now))
    remember()
end
return { epoch, sequence }
