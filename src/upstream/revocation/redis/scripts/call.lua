-- call epoch [host said]...: who follows this log, and how far each says to have applied it. Takes away the notes that
-- still say what the caller names: those of daemons that ended long ago.
local hosts = KEYS[5]
if not intact or tonumber(ARGV[1]) ~= epoch then
    return redis.error_reply('JOTDEPOCH this log is in another epoch')
end
for i = 2, #ARGV, 2 do
    if redis.call('HGET', hosts, ARGV[i]) == ARGV[i + 1] then redis.call('HDEL', hosts, ARGV[i]) end
end
return redis.call('HGETALL', hosts)
