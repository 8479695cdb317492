-- The same ledger in PostgreSQL, as somebody who knows PostgreSQL would write it. Statuses are the ledger's numbers (docs/ledger.md).
--
-- Ids are uuid (128 bits). Amounts and balances are bigint, not numeric: half of what a ledger of 128 bits holds, and much faster.
-- There are no foreign keys, since the functions check the accounts themselves, and no index on the accounts of transfers: a history of an
-- account, which Sycee has, is not asked for here. Both are in PostgreSQL's favor.

-- Half of each page is left free, so that a new version of a row finds room on its page and the index need not be touched (HOT updates).
create table accounts (
  id uuid primary key,
  debits_pending bigint not null default 0,
  debits_posted bigint not null default 0,
  credits_pending bigint not null default 0,
  credits_posted bigint not null default 0,
  ledger integer not null,
  code integer not null,
  flags integer not null,
  created_at timestamptz not null default clock_timestamp()
) with (fillfactor = 50);

create table transfers (
  id uuid primary key,
  debit_account_id uuid not null,
  credit_account_id uuid not null,
  amount bigint not null,
  ledger integer not null,
  code integer not null,
  flags integer not null,
  created_at timestamptz not null
);

-- What an id that is there already is answered: compared by content.
create function status_of_existing(
  p_id uuid, p_debit uuid, p_credit uuid, p_amount bigint, p_ledger integer, p_code integer, p_flags integer
) returns integer language sql stable as $$
  select case
    when flags <> p_flags then 36
    when debit_account_id <> p_debit then 37
    when credit_account_id <> p_credit then 38
    when amount <> p_amount then 39
    when code <> p_code then 45
    when ledger <> p_ledger then 67
    else 46
  end from transfers where id = p_id
$$;

-- Why neither side or only one could be posted. p_is_debited: the debit was posted, so that its limit held.
create function status_of_refusal(
  p_debit uuid, p_credit uuid, p_amount bigint, p_ledger integer, p_is_debited boolean
) returns integer language plpgsql stable as $$
declare
  debit accounts;
  credit accounts;
begin
  select * into debit from accounts where id = p_debit;
  if not found then return 21; end if;
  select * into credit from accounts where id = p_credit;
  if not found then return 22; end if;
  if debit.ledger <> credit.ledger then return 23; end if;
  if debit.ledger <> p_ledger then return 24; end if;
  if not p_is_debited and debit.flags & 2 <> 0
    and debit.debits_pending + debit.debits_posted + p_amount > debit.credits_posted then return 54; end if;
  return 55;
end
$$;

-- One transfer. The insert claims the id, then both accounts are posted, the one with the lower id first, so that two calls never wait for
-- each other. Flag 2: debits must not exceed credits; flag 4: credits must not exceed debits. A refusal is an exception, which takes back
-- what was done; its message is the status.
create function create_transfer(
  p_id uuid, p_debit uuid, p_credit uuid, p_amount bigint, p_ledger integer, p_code integer, p_flags integer
) returns integer language plpgsql as $$
declare
  is_debited boolean := false;
begin
  if p_debit = p_credit then return 12; end if;
  insert into transfers values (p_id, p_debit, p_credit, p_amount, p_ledger, p_code, p_flags, clock_timestamp())
    on conflict do nothing;
  if not found then
    return status_of_existing(p_id, p_debit, p_credit, p_amount, p_ledger, p_code, p_flags);
  end if;
  if p_debit < p_credit then
    update accounts set debits_posted = debits_posted + p_amount
      where id = p_debit and ledger = p_ledger
        and (flags & 2 = 0 or debits_pending + debits_posted + p_amount <= credits_posted);
    if found then
      is_debited := true;
      update accounts set credits_posted = credits_posted + p_amount
        where id = p_credit and ledger = p_ledger
          and (flags & 4 = 0 or credits_pending + credits_posted + p_amount <= debits_posted);
      if found then return 0; end if;
    end if;
  else
    update accounts set credits_posted = credits_posted + p_amount
      where id = p_credit and ledger = p_ledger
        and (flags & 4 = 0 or credits_pending + credits_posted + p_amount <= debits_posted);
    if found then
      update accounts set debits_posted = debits_posted + p_amount
        where id = p_debit and ledger = p_ledger
          and (flags & 2 = 0 or debits_pending + debits_posted + p_amount <= credits_posted);
      if found then return 0; end if;
    end if;
  end if;
  raise exception using errcode = 'SY001',
    message = status_of_refusal(p_debit, p_credit, p_amount, p_ledger, is_debited);
end
$$;

-- Many transfers in one transaction, each with an outcome of its own; null when all were created. First all at once: one insert, and one
-- update by the sums of each account. An account with a limit may be updated so only when all its debits together (or credits) keep the
-- limit without what the batch brings it, since then each keeps it in any order. Whatever else there is (an id that exists, or twice in the
-- batch, an account that is missing) undoes that, and the transfers are taken one after the other.
--
-- The sums are sorted by account, and without hash and merge joins the update follows them row by row: locks are taken in the order of ids.
create function create_transfers(
  p_ids uuid[], p_debits uuid[], p_credits uuid[], p_amounts bigint[], p_ledger integer, p_code integer, p_flags integer
) returns integer[] language plpgsql
  set enable_hashjoin = off set enable_mergejoin = off as $$
declare
  changed bigint;
  updated bigint;
  statuses integer[];
begin
  begin
    insert into transfers
      select id, debit, credit, amount, p_ledger, p_code, p_flags, clock_timestamp()
        from unnest(p_ids, p_debits, p_credits, p_amounts) as one (id, debit, credit, amount)
        where debit <> credit;
    get diagnostics changed = row_count;
    if changed <> cardinality(p_ids) then raise exception using errcode = 'SY002'; end if;
    with change as materialized (
      select account, sum(debit)::bigint as debit, sum(credit)::bigint as credit
        from (
          select account, amount as debit, 0 as credit from unnest(p_debits, p_amounts) as one (account, amount)
          union all
          select account, 0, amount from unnest(p_credits, p_amounts) as one (account, amount)
        ) as side group by account order by account
    ), posted as (
      update accounts set debits_posted = debits_posted + change.debit, credits_posted = credits_posted + change.credit
        from change
        where accounts.id = change.account and ledger = p_ledger
          and (flags & 2 = 0 or change.debit = 0 or debits_pending + debits_posted + change.debit <= credits_posted)
          and (flags & 4 = 0 or change.credit = 0 or credits_pending + credits_posted + change.credit <= debits_posted)
        returning 1
    )
    select (select count(*) from change), (select count(*) from posted) into changed, updated;
    if changed <> updated then raise exception using errcode = 'SY002'; end if;
    return null;
  exception when unique_violation or sqlstate 'SY002' then
    null;
  end;
  perform from accounts where id = any (p_debits || p_credits) order by id for no key update;
  for i in 1 .. cardinality(p_ids) loop
    begin
      statuses[i] := create_transfer(p_ids[i], p_debits[i], p_credits[i], p_amounts[i], p_ledger, p_code, p_flags);
    exception when sqlstate 'SY001' then
      statuses[i] := sqlerrm::integer;
    end;
  end loop;
  return statuses;
end
$$;
