-- Common to all scripts; the script's own text follows. Keys, in this order: state, held, log, wake; and hosts, which only
-- daemons need.
local state, held, log, wake = KEYS[1], KEYS[2], KEYS[3], KEYS[4]

-- What is held lies in 65,536 strings, by the first digits of the id: records one after the other. Less than half of what
-- a sorted set takes, and a hundred times sooner read as a whole.
local RECORD = 58 -- digits of a record, of which the first are its key
local KEY = 42

local function shard_of(key)
    return held .. ':' .. string.sub(key, 11, 14)
end

-- Where a record begins in a string of them, by its key.
local function find(records, key)
    local from = 1
    while true do
        local at = string.find(records, key, from, true)
        if not at or at % RECORD == 1 then return at end
        from = at + 1
    end
end

local info = redis.call('INFO', 'replication')
local server = string.match(info, 'master_replid:(%x+)')

local known = redis.call('HMGET', state, 'epoch', 'sequence', 'chain', 'history', 'awaited')
local epoch = tonumber(known[1] or '0')
local sequence = tonumber(known[2] or '-1')
local chain = known[3] or string.rep('0', 40)
local history = known[4] or ''
local awaited = known[5] or '0-0'

-- The newest id that the stream has ever given out.
local top_epoch, top_sequence = 0, -1
if redis.call('EXISTS', log) == 1 then
    local about = redis.call('XINFO', 'STREAM', log)
    for i = 1, #about, 2 do
        if about[i] == 'last-generated-id' then
            local e, s = string.match(about[i + 1], '(%d+)-(%d+)')
            top_epoch, top_sequence = tonumber(e), tonumber(s)
        end
    end
end

-- Whether state and stream tell one story, on the server that began it: else ids might come again.
local intact = epoch > 0 and history == server and top_epoch == epoch and top_sequence == sequence

-- Appends one entry. The chain makes a lost end or a fork show at any later time.
local function append(kind, text, keep)
    chain = redis.sha1hex(chain .. kind .. text)
    sequence = sequence + 1
    if keep then
        redis.call('XADD', log, 'MAXLEN', '~', keep, epoch .. '-*', kind, text, 'chain', chain)
    else
        redis.call('XADD', log, epoch .. '-*', kind, text, 'chain', chain)
    end
end

local function remember()
    redis.call('HSET', state, 'epoch', epoch, 'sequence', sequence, 'chain', chain, 'history', history)
    redis.call('PUBLISH', wake, epoch .. '-' .. sequence)
end

-- Begins a new history whose ids no older one can have had. Its first entry continues the chain, so a reader
-- that stood at the very end of the old one knows that it has missed nothing.
local function open(wanted)
    epoch = math.max(wanted, epoch + 1, top_epoch + 1)
    sequence = -1
    history = server
    append('open', epoch .. ':' .. history)
    remember()
end

local function describe()
    local role = string.match(info, 'role:(%a+)')
    return { epoch, sequence, chain, history, server, role, intact and 1 or 0, awaited }
end

-- Redis' clock may be wrong, and so may the caller's: nothing is taken for expired unless both say so.
local function earliest_second(callers)
    return math.min(tonumber(redis.call('TIME')[1]), tonumber(callers))
end
