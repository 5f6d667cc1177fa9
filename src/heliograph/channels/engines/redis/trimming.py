"""What `maintenance.py` runs in the server. Pure text."""

from __future__ import annotations

from heliograph.channels.engines import quota
from heliograph.channels.engines.redis.schema import BEGINS, STATE
from heliograph.channels.names import TICKETS

#: KEYS: table, sizes. ARGV[5]: ttl of the history (ms), [6]: prefix of the streams, [7]: the name that asks, [8]: where
#: notifications are published, or nothing, [9…]: names, or none for all. Forgets channels whose messages are all too old, but for
#: that of the tickets, which takes no room, and answers how many. A name that is used again must get another epoch. With [8] each
#: gets it now and keeps its field, unless it is followed: other channels, and subscribers before a first message, notice nothing.
#: Without [8], when room is needed, the fields go, too, and all names that have none get another epoch.
FORGET = (
    STATE
    + """
local clock = redis.call('TIME')
local before = clock[1] * 1000000 + clock[2] - ARGV[5] * 1000
local names, ended = {}, 0
if #ARGV > 8 then
  for index = 9, #ARGV do names[index - 8] = ARGV[index] end
else
  names = redis.call('HKEYS', KEYS[1])
end
for _, name in ipairs(names) do
  local stored = string.sub(name, 1, 1) ~= '=' and name ~= 'OWN' and name ~= ARGV[7] and redis.call('HGET', KEYS[1], name)
  if stored then
    local _, top, time = known(stored)
    local all = ARGV[8] == ''
    if time < before and (all or (top > 0 and redis.call('PUBSUB', 'NUMSUB', ARGV[8] .. name)[2] == 0)) then
      if all then
        redis.call('HDEL', KEYS[1], name)
      else
        redis.call('HSET', KEYS[1], name, ARGV[3] .. ' 0 ' .. whole(time))
      end
      redis.call('HDEL', KEYS[2], name)
      redis.call('DEL', ARGV[6] .. name)
      ended = ended + 1
    end
  end
end
if ended > 0 and ARGV[8] == '' then redis.call('HSET', KEYS[1], '=birth', ARGV[3]) end
return ended
""".replace("OWN", TICKETS)
)

# What the history of a channel weighs: its messages, and something for each. The server measures a stream of an earlier version.
_WEIGHT = """
local function weight(name, stream)
  local first, at = oldest(stream)
  if not first then return 0, nil, 0, 0 end
  if not at then return redis.call('MEMORY', 'USAGE', stream), nil, 0, 0 end
  local _, top = known(redis.call('HGET', KEYS[1], name))
  local total = tonumber(redis.call('HGET', KEYS[2], name) or '0')
  return total - at + OVERHEAD * (top - first + 1), first, top, total
end
""".replace("OVERHEAD", str(quota.OVERHEAD))

#: KEYS: table, sizes. ARGV[5]: prefix of the streams, [6]: the weight up to which a stream of an earlier version may go on,
#: [7…]: names. Answers their weights.
WEIGH = (
    STATE
    + BEGINS
    + _WEIGHT
    + """
local found = {}
for index = 7, #ARGV do
  local stream = ARGV[5] .. ARGV[index]
  local now, first = weight(ARGV[index], stream)
  if now > tonumber(ARGV[6]) and not first then
    local count = redis.call('XLEN', stream)
    redis.call('XTRIM', stream, 'MAXLEN', whole(math.floor(count * ARGV[6] / now)))
    now = redis.call('MEMORY', 'USAGE', stream) or 0
  end
  found[#found + 1] = now
end
return found
"""
)

#: KEYS: table, sizes, stream. ARGV[5]: name, [6]: the weight to which it is cut. Answers its weight then.
CUT = (
    STATE
    + BEGINS
    + _WEIGHT
    + """
local allowed = tonumber(ARGV[6])
local now, first, top, total = weight(ARGV[5], KEYS[3])
if now > allowed and not first then
  redis.call('XTRIM', KEYS[3], 'MAXLEN', whole(math.floor(redis.call('XLEN', KEYS[3]) * allowed / now)))
elseif now > allowed then
  local last = top + 1
  while first < last do
    local middle = math.floor((first + last) / 2)
    local entry = redis.call('XRANGE', KEYS[3], whole(middle), '+', 'COUNT', 1)[1]
    local at = entry and tonumber(entry[2][8])
    if at and total - at + OVERHEAD * (top - middle + 1) <= allowed then last = middle else first = middle + 1 end
  end
  redis.call('XTRIM', KEYS[3], 'MINID', whole(first))
end
return (weight(ARGV[5], KEYS[3]))
""".replace("OVERHEAD", str(quota.OVERHEAD))
)

TRIMMING = {"forget": FORGET, "weigh": WEIGH, "cut": CUT}
