-- look [position]: where the log stands, and the chain of the entry at a reader's position.
local answer = describe()
if ARGV[1] then
    local there = redis.call('XRANGE', log, ARGV[1], ARGV[1])[1]
    if there then
        for i = 1, #there[2], 2 do
            if there[2][i] == 'chain' then answer[9] = there[2][i + 1] end
        end
    end
end
return answer
