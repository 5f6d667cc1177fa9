"""What happens in the server, each script at once. Pure text.

Keys: one hash has all channels, `name -> birth top time`, and three fields of the log (`=run`, `=era`, `=birth`; no channel's name
has a `=`). One whose history has ended has the top 0 and a new birth until room is needed. As it is one key, it cannot be evicted
in part: without it the log starts again with new epochs. Each channel has a stream; the ids of its entries are the offsets. A
second hash has the bytes of all messages that a channel ever had, and each entry has the bytes that came before it (`b`), so that
no sum has to be looked for. Entries that an earlier version wrote have none.

An epoch is era and birth. `=run` is the id of the server's process that wrote last. Another id means a restart or a fail-over: the
server may have come back without messages that it acknowledged, so the era changes, unless each write reached the disk first.
"""

from __future__ import annotations

import struct

from heliograph.channels.names import TICKETS

PREFIX = "heliograph:"
TABLE, SIZES = PREFIX + "channels", PREFIX + "sizes"

#: Of streams of messages, and of idempotency keys.
LOG, KEY = PREFIX + "log:", PREFIX + "key:"

#: Appends to a channel between two looks at the age of its oldest messages, and how many are dropped at once.
_AGE_STEP = 64

# Every script begins with this. KEYS[1]: the table. ARGV[1]: the server's run id; [2], [3]: an era and a birth, should new ones be
# needed; [4]: "1" if restarts lose nothing.
STATE = """
local state = redis.call('HMGET', KEYS[1], '=run', '=era', '=birth')
if not state[2] then
  state[2], state[3] = ARGV[2], ARGV[3]
  redis.call('HSET', KEYS[1], '=run', ARGV[1], '=era', state[2], '=birth', state[3])
elseif state[1] ~= ARGV[1] then
  if ARGV[4] ~= '1' then state[2] = ARGV[2] end
  redis.call('HSET', KEYS[1], '=run', ARGV[1], '=era', state[2])
end
local function whole(number) return string.format('%.0f', number) end
local function known(stored)
  local birth, top, time = string.match(stored, '^(%w+) (%d+) (%d+)$')
  return birth, tonumber(top), tonumber(time)
end
"""

# With what is stored of the channel ARGV[5] as a fourth part of the state.
_WITH_CHANNEL = STATE.replace("'=birth')", "'=birth', ARGV[5])", 1)

# The lowest offset from `first` to `top` whose message begins at a position or behind it. Entries without one are older than all.
BEGINS = """
local function begins(stream, position, first, top)
  while first < top do
    local middle = math.floor((first + top) / 2)
    local entry = redis.call('XRANGE', stream, whole(middle), '+', 'COUNT', 1)[1]
    local at = entry and tonumber(entry[2][8])
    if at and at >= position then top = middle else first = middle + 1 end
  end
  return first
end
local function oldest(stream)
  local entry = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
  if not entry then return nil end
  return tonumber(string.sub(entry[1], 1, -3)), tonumber(entry[2][8])
end
"""

#: KEYS: table, stream, idempotency key, sizes. ARGV[5…]: name, kind, data, size and ttl (ms) of the history, channels allowed,
#: digest of the body or nothing, ttl of the key (ms), where notifications are published, bytes of the history.
#: Too many bytes are dropped after each eighth of the bound; reading decides exactly.
APPEND = (
    _WITH_CHANNEL
    + BEGINS
    + """
local name, digest = ARGV[5], ARGV[11]
if digest ~= '' then
  local kept = redis.call('GET', KEYS[3])
  if kept then
    local body, epoch, offset, time = string.match(kept, '^(%x+) (%w+) (%d+) (%d+)$')
    if body ~= digest then return {'reused'} end
    return {'repeated', epoch, offset, time}
  end
end
local birth, top, before = state[3], 0, 0
local stored = state[4]
if stored then
  birth, top, before = known(stored)
elseif name ~= 'OWN' and redis.call('HLEN', KEYS[1]) - 3 - redis.call('HEXISTS', KEYS[1], 'OWN') >= tonumber(ARGV[10]) then
  return {'full'}
end
local clock = redis.call('TIME')
local time = math.max(clock[1] * 1000000 + clock[2], before)
top = top + 1
local offset, stamp, epoch = whole(top), whole(time), state[2] .. birth
redis.call('HSET', KEYS[1], name, birth .. ' ' .. offset .. ' ' .. stamp)
if top == 1 then
  redis.call('DEL', KEYS[2])
  redis.call('HDEL', KEYS[4], name)
end
local total = redis.call('HINCRBY', KEYS[4], name, #ARGV[7])
local start, bytes = total - #ARGV[7], tonumber(ARGV[14])
redis.call('XADD', KEYS[2], 'MAXLEN', ARGV[8], offset .. '-0', 'k', ARGV[6], 't', stamp, 'd', ARGV[7], 'b', whole(start))
redis.call('PEXPIRE', KEYS[2], ARGV[9])
if top % STEP == 0 then
  local oldest = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
  local first = tonumber(string.match(oldest[1], '^%d+'))
  for _ = 1, 4 do
    local entry = redis.call('XRANGE', KEYS[2], whole(first + STEP - 1), '+', 'COUNT', 1)[1]
    if not entry or tonumber(entry[2][4]) >= time - ARGV[9] * 1000 then break end
    first = first + STEP
    redis.call('XTRIM', KEYS[2], 'MINID', whole(first))
  end
end
local part = math.max(1, math.floor(bytes / 8))
if total > bytes and math.floor(total / part) > math.floor(start / part) then
  local first, at = oldest(KEYS[2])
  if not at or at < total - bytes then
    redis.call('XTRIM', KEYS[2], 'MINID', whole(begins(KEYS[2], total - bytes, first, top)))
  end
end
redis.call('PUBLISH', ARGV[13] .. name, epoch .. ' ' .. offset .. ' ' .. ARGV[6] .. ' ' .. stamp .. ' ' .. ARGV[7])
if digest ~= '' then
  redis.call('SET', KEYS[3], digest .. ' ' .. epoch .. ' ' .. offset .. ' ' .. stamp, 'PX', ARGV[12])
end
return {'ok', epoch, offset, stamp}
""".replace("STEP", str(_AGE_STEP)).replace("OWN", TICKETS)
)

#: KEYS: table, stream, sizes. ARGV[5…]: name, offset to read after or nothing, size of the history, messages and bytes wanted,
#: bytes of the history.
#: Answers epoch, top, the server's time, and the messages in one string: thousands of small values would cost the client more
#: than everything else. Each is its offset, kind, time in microseconds and length (`ENTRY`), and its data.
READ = (
    _WITH_CHANNEL
    + BEGINS
    + """
local birth, top = state[3], 0
local stored = state[4]
if stored then birth, top = known(stored) end
local from = tonumber(ARGV[6]) or math.max(0, top - tonumber(ARGV[7]))
local total = tonumber(redis.call('HGET', KEYS[3], ARGV[5]) or '0')
local floor = total - tonumber(ARGV[10])
if stored and floor > 0 then
  local first, at = oldest(KEYS[2])
  if first and (not at or at < floor) then from = math.max(from, begins(KEYS[2], floor, first, top) - 1) end
end
local wanted, room, found = tonumber(ARGV[8]), tonumber(ARGV[9]), {}
while stored and from < top and #found < wanted and room > 0 do
  local part = redis.call('XRANGE', KEYS[2], whole(from + 1), '+', 'COUNT', math.min(64, wanted - #found))
  for _, entry in ipairs(part) do
    if room <= 0 then break end
    local fields = entry[2]
    local data = fields[6]
    from = tonumber(string.sub(entry[1], 1, -3))
    found[#found + 1] = struct.pack('>I8BI8I4', from, fields[2], fields[4], #data) .. data
    room = room - #data
  end
  if #part == 0 then break end
end
local clock = redis.call('TIME')
return {state[2] .. birth, whole(top), whole(clock[1] * 1000000 + clock[2]), table.concat(found)}
"""
)

#: What `READ` packs before the data of each message.
ENTRY = struct.Struct(">QBQI")

#: KEYS: table, stream, sizes. ARGV[5]: name. The channel begins anew; answers its epoch.
REMOVE = (
    _WITH_CHANNEL
    + """
if not state[4] then return state[2] .. state[3] end
local _, _, time = known(state[4])
redis.call('HSET', KEYS[1], ARGV[5], ARGV[3] .. ' 0 ' .. whole(time))
redis.call('DEL', KEYS[2])
redis.call('HDEL', KEYS[3], ARGV[5])
return state[2] .. ARGV[3]
"""
)

#: KEYS: table. ARGV[5…]: names. Answers epoch and top of each in turn.
TOPS = (
    STATE
    + """
local found = {}
for index = 5, #ARGV do
  local birth, top = state[3], 0
  local stored = redis.call('HGET', KEYS[1], ARGV[index])
  if stored then birth, top = known(stored) end
  found[#found + 1] = state[2] .. birth
  found[#found + 1] = whole(top)
end
return found
"""
)

#: KEYS: table, who, counts, members. ARGV[5…]: member, ttl (ms), then channel, count, who in turn. Answers whether the member was
#: known.
ANNOUNCE = (
    STATE
    + """
local known = redis.call('EXISTS', KEYS[3])
redis.call('HSET', KEYS[3], '=', '0')
for index = 7, #ARGV, 3 do
  if ARGV[index + 1] == '0' then
    redis.call('HDEL', KEYS[2], ARGV[index])
    redis.call('HDEL', KEYS[3], ARGV[index])
  else
    redis.call('HSET', KEYS[2], ARGV[index], ARGV[index + 2])
    redis.call('HSET', KEYS[3], ARGV[index], ARGV[index + 1])
  end
end
redis.call('PEXPIRE', KEYS[2], ARGV[6])
redis.call('PEXPIRE', KEYS[3], ARGV[6])
redis.call('SADD', KEYS[4], ARGV[5])
return known
"""
)

ALL = {
    "append": APPEND,
    "read": READ,
    "remove": REMOVE,
    "tops": TOPS,
    "announce": ANNOUNCE,
}
