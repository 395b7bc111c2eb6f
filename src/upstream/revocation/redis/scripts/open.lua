-- open epoch server: begins a new history with at least this epoch. Does nothing where somebody has done so
-- already, or where this is no longer the server that the caller has looked at.
if server == ARGV[2] and not (intact and epoch >= tonumber(ARGV[1])) then
    open(tonumber(ARGV[1]))
    intact = true
end
return describe()
