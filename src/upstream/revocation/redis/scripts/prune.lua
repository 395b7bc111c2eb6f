-- prune now count: forgets what expired more than a margin ago by both clocks; says how much that was.
local MARGIN_SECONDS = 3600
local expired = earliest_second(ARGV[1]) - MARGIN_SECONDS
local keys = redis.call('ZRANGE', untils, '-inf', '(' .. expired, 'BYSCORE', 'LIMIT', 0, ARGV[2])
if #keys > 0 then
    redis.call('ZREM', untils, unpack(keys))
    redis.call('HDEL', befores, unpack(keys))
end
return #keys
