-- use seconds...: a single-use token a key, and how long each is kept. 1 where this was the first use, else 0. Keys
-- expire by the server's own count of seconds, so that no wall clock can bring a use back.
local first = {}
for i = 1, #KEYS do
    first[i] = redis.call('SET', KEYS[i], '1', 'NX', 'EX', ARGV[i]) and 1 or 0
end
return first
