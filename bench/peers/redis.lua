-- One transfer in Redis. KEYS: transfer, debit account, credit account. ARGV: amount; the transfer packed as it is stored (debit account,
-- credit account, amount, ledger, code, flags); its ledger. The answer is the ledger's number of a status.
--
-- An account is a hash, a transfer a string: 8 bytes of its time (us), then what was packed. HINCRBY adds exact integers of 64 bits, and no
-- balance may reach 2^63. Lua's numbers are doubles, exact to 2^53, so a limit is compared exactly only below that: greater balances are
-- refused (47, 48) where a limit has to be looked at. The keys hold no braces: there is one node.
local EXACT_MAX = 9007199254740991

-- What an id that is there already is answered, compared by content; else the status that was found.
local function unless_stored(status)
  local old, new = redis.call('GETRANGE', KEYS[1], 8, -1), ARGV[2]
  if old == '' then return status end
  if old == new then return 46 end
  local function differs(first, last) return string.sub(old, first, last) ~= string.sub(new, first, last) end
  if differs(49, 50) then return 36 end
  if differs(1, 16) then return 37 end
  if differs(17, 32) then return 38 end
  if differs(33, 40) then return 39 end
  if differs(45, 48) then return 45 end
  return 67
end

if KEYS[2] == KEYS[3] then return 12 end
local debit = redis.call('HMGET', KEYS[2], 'ledger', 'flags')
if not debit[1] then return unless_stored(21) end
local credit = redis.call('HMGET', KEYS[3], 'ledger', 'flags')
if not credit[1] then return unless_stored(22) end
if debit[1] ~= credit[1] then return unless_stored(23) end
if debit[1] ~= ARGV[3] then return unless_stored(24) end

-- Flag 2: debits must not exceed credits; flag 4: credits must not exceed debits.
if bit.band(debit[2], 2) ~= 0 then
  local has = redis.call('HMGET', KEYS[2], 'dp', 'd', 'c')
  local after = has[1] + has[2] + ARGV[1]
  if after > EXACT_MAX then return unless_stored(47) end
  if after > tonumber(has[3]) then return unless_stored(54) end
end
if bit.band(credit[2], 4) ~= 0 then
  local has = redis.call('HMGET', KEYS[3], 'cp', 'c', 'd')
  local after = has[1] + has[2] + ARGV[1]
  if after > EXACT_MAX then return unless_stored(48) end
  if after > tonumber(has[3]) then return unless_stored(55) end
end

local time = redis.call('TIME')
if not redis.call('SET', KEYS[1], struct.pack('>I8', time[1] * 1000000 + time[2]) .. ARGV[2], 'NX') then
  return unless_stored(0)
end
redis.call('HINCRBY', KEYS[2], 'd', ARGV[1])
redis.call('HINCRBY', KEYS[3], 'c', ARGV[1])
return 0
