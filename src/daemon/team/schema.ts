/**
 * The database of a team: tables, functions and roles, as the owner creates them.
 *
 * A machine may call the functions and nothing else, so it cannot rewrite the past. `put_1` is the only
 * function that changes a lease or a secret: one statement, all or nothing. A function carries the version
 * of its parameters in its name; a later release adds functions and keeps these.
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { sha256 } from "../../domain/AuditChain.ts"
import { pageSize } from "./otherLogs.ts"

/** What a function raises to reject a call; the codes are SQLSTATEs. */
export const sqlState = {
  /** Another process writes as this machine, or the machine was removed. */
  fenced: "AS001",
  /** The batch was made from rows that have changed: look again. */
  stale: "AS002",
  /** The clock of the caller is more than a second away from the server's: look again. */
  clock: "AS003",
  /** The lines are not those of the hash. */
  lines: "AS004",
  /** The server is a standby, whose rows may be old. */
  standby: "AS005",
  /** The chain of the machine and the database differ at the same number. */
  forked: "AS006",
  /** The machine may not change the list of members. */
  denied: "AS007"
} as const

/** SHA-256 of nothing, where a chain begins. */
const emptyHash = sha256("")

/** The key of the advisory lock: shared by changes of some rows, exclusive for changes of all rows. */
const lock = 728_190_114

const tables = `
create table team.state (
  one          boolean primary key default true check (one),
  -- + 1 at each change that makes every batch stale: of a secret, a killswitch, a clock step, an older database.
  revision     bigint not null default 1,
  -- + 1 each time a machine finds that the database has lost entries.
  incarnation  bigint not null default 1,
  -- What is added to the server's clock; only tests change it.
  clock_offset interval not null default '0'
);
insert into team.state default values;

create table team.machines (
  id         int generated always as identity primary key,
  name       text not null unique,
  db_role    name not null unique,
  status     text not null default 'active' check (status in ('active', 'removed')),
  -- + 1 at each start and after each lost answer, so that an older process can write no more.
  epoch      int not null default 0,
  -- The process that entered last. No other one of the machine can resume.
  process    text not null default '',
  -- The head of the machine's chain, and where the database's part of it begins.
  audit_seq  bigint not null,
  audit_hash text not null,
  base_seq   bigint not null,
  base_hash  text not null,
  program    text not null default '',
  heard_at   timestamptz
) with (fillfactor = 50);

-- A deleted secret stays as a row without a value, so that its versions go on.
create table team.secrets (
  name       text primary key check (octet_length(name) between 1 and 2000),
  version    int not null,
  changed    bigint not null,
  -- An age file: the secret with its value, signed by the machine that wrote it.
  sealed     bytea
);
create index on team.secrets (changed);

create table team.leases (
  id         uuid primary key,
  -- SHA-256 of secret and client.
  pair       bytea not null unique,
  secret     text not null,
  client     text not null,
  machine    int not null,
  created_at timestamptz not null,
  expires_at timestamptz not null
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);
create index on team.leases (secret);
create index on team.leases (expires_at);

-- For a day, so that revoking a lease twice succeeds.
create table team.revoked (
  id uuid primary key, secret text not null, client text not null, machine int not null,
  created_at timestamptz not null, expires_at timestamptz not null, at timestamptz not null
);

-- The lines of every audit.log without their line feeds. (machine, seq) is unique: put_1 moves the head by comparing it.
create table team.audit (
  machine int not null, seq bigint not null, at timestamptz not null default clock_timestamp(), line text not null
) partition by range (at);
create table team.audit_default partition of team.audit default;
create unique index on team.audit_default (machine, seq);
create index on team.audit using brin (at);
`

/** What came after the first tables. A database that lacks it gets it by `secrets team migrate`. */
const additions = `
-- Signed statements about machines, which the machines verify: who may read what. member_1 alone adds to them.
create table if not exists team.members (
  seq int primary key, statement text not null, sig text not null, at timestamptz not null default clock_timestamp()
);
-- Whether it may add statements; the machines check that against the statements themselves.
alter table team.machines add column if not exists admin boolean not null default false;
-- The hash of its recipients, and when its value changed: for people, no machine relies on them.
alter table team.secrets add column if not exists sealed_for text not null default '';
alter table team.secrets add column if not exists value_at timestamptz;
-- No row of a secret or a machine is ever deleted, and put_1 checks both: with foreign keys, each lease would be checked
-- twice more, and would lock the row of its secret.
alter table team.leases drop constraint if exists leases_secret_fkey, drop constraint if exists leases_machine_fkey;
`

/** A machine that states more than so many restores of the database is not believed: the number must stay small enough to count on. */
const mostRestores = 1000

/** Returns the expression of a lease as the functions return it. */
const leaseJson = (row: string) =>
  `json_build_object('id', ${row}.id, 'secret', ${row}.secret, 'client', ${row}.client, 'machine', ${row}.machine,
    'created', (extract(epoch from ${row}.created_at) * 1000000)::bigint, 'expires', (extract(epoch from ${row}.expires_at) * 1000000)::bigint)`

const raise = (code: keyof typeof sqlState, text: string) =>
  `raise exception '${text}' using errcode = '${sqlState[code]}'`

const header = "language plpgsql security definer set search_path = team, pg_temp"

const functions = `
create or replace function team.now() returns timestamptz language sql stable set search_path = team, pg_temp as
  $$ select clock_timestamp() + clock_offset from state $$;

create or replace function team.millis() returns bigint language sql stable set search_path = team, pg_temp as
  $$ select floor(extract(epoch from team.now()) * 1000)::bigint $$;

create or replace function team.id_of(machine text) returns int ${header} as $$
declare found int;
begin
  select id into found from machines where name = machine and db_role = session_user and status = 'active';
  if found is null then ${raise("fenced", "this role is not that of a machine of the team")}; end if;
  return found;
end $$;

-- Begins or resumes the work of a machine. Waits for its last statement, which from then on cannot commit.
create or replace function team.enter_1(input text) returns text ${header} as $$
declare
  r constant jsonb := input::jsonb;
  known constant bigint := (r->>'seq')::bigint;
  -- How often a machine has seen the database get older; no honest one is far ahead.
  seen bigint := (r->>'incarnation')::bigint;
  m machines%rowtype;
  s state%rowtype;
  verdict text := 'same';
  there text;
begin
  if pg_is_in_recovery() then ${raise("standby", "this server is a standby")}; end if;
  -- A smaller epoch than the caller's: this database is an older one.
  update machines set epoch = epoch + 1, process = r->>'process', program = r->>'program', heard_at = clock_timestamp()
    where id = (select team.id_of(r->>'machine')) and (r->>'epoch' is null or process = r->>'process' or epoch < (r->>'epoch')::int)
    returning * into m;
  if not found then ${raise("fenced", "another process writes as this machine")}; end if;
  -- A machine that enters for the first time: its chain begins here.
  if m.epoch = 1 and m.audit_seq = m.base_seq then
    update machines set audit_seq = known, audit_hash = r->>'hash', base_seq = known, base_hash = r->>'hash'
      where id = m.id returning * into m;
  end if;
  if known <= m.audit_seq then
    there := case
      when known = m.audit_seq then m.audit_hash
      when known = m.base_seq then m.base_hash
      else (select encode(sha256(convert_to(line || E'\\n', 'UTF8')), 'hex') from audit where machine = m.id and seq = known)
    end;
    if there is distinct from r->>'hash' then ${raise("forked", "the chain of this machine is not that of the database")}; end if;
    if known < m.audit_seq then verdict := 'behind'; end if;
  else
    verdict := 'older';
    perform pg_advisory_xact_lock(${lock});
    select * into s from state;
    if seen is null or seen > s.incarnation + ${mostRestores} then seen := s.incarnation; end if;
    -- A larger number: another machine has found the same, and ended the leases.
    if s.incarnation <= seen then
      delete from leases;
      update state set revision = revision + 1, incarnation = seen + 1;
    end if;
  end if;
  delete from revoked where at < team.now() - interval '1 day';
  select * into s from state;
  return json_build_object('verdict', verdict, 'machine', m.id, 'epoch', m.epoch, 'seq', m.audit_seq, 'hash', m.audit_hash,
    'now', team.millis(), 'revision', s.revision, 'incarnation', s.incarnation);
end $$;

-- Brings the rows that a batch looks at, and the secrets that changed. Takes no lock. Each kind of row has a statement of
-- its own, which finds it by an index: one statement for all of them is planned as if it read the whole table. Each sees
-- what was committed before it, so the revision is read first: what changes after it is brought again by the next look.
create or replace function team.look_1(input text) returns text ${header} as $$
declare
  r constant jsonb := input::jsonb;
  known constant bigint := (select revision from state);
  me constant int := team.id_of(r->>'machine');
  t constant timestamptz := team.now();
  rows leases[] := '{}';
  found json; ended json; changed json; active bigint;
begin
  if pg_is_in_recovery() then ${raise("standby", "this server is a standby")}; end if;
  if (r->>'all')::boolean then
    select json_agg(${leaseJson("l")}) into found from leases l;
  else
    if jsonb_array_length(r->'pairs') > 0 then
      rows := rows || array(select l from leases l where pair = any(array(
        select decode(p, 'hex') from jsonb_array_elements_text(r->'pairs') p)));
    end if;
    if jsonb_array_length(r->'ids') > 0 then
      rows := rows || array(select l from leases l where id = any(array(
        select i::uuid from jsonb_array_elements_text(r->'ids') i)));
    end if;
    if jsonb_array_length(r->'secrets') > 0 then
      rows := rows || array(select l from leases l where secret = any(array(
        select n from jsonb_array_elements_text(r->'secrets') n)));
    end if;
    if jsonb_array_length(r->'prefixes') > 0 then
      rows := rows || array(select l from (
          select p, replace(p, '-', '') hex from jsonb_array_elements_text(r->'prefixes') p where p ~ '^[0-9a-f-]{1,36}$'
        ) prefix, leases l where id between rpad(hex, 32, '0')::uuid and rpad(hex, 32, 'f')::uuid and starts_with(id::text, p));
    end if;
    if (r->>'due')::int > 0 then
      rows := rows || array(select l from leases l where expires_at < t and (machine = me or expires_at < t - interval '1 minute')
        order by expires_at limit (r->>'due')::int);
    end if;
    select json_agg(${leaseJson("l")}) into found from (select distinct * from unnest(rows)) l;
  end if;
  select json_agg(${leaseJson("g")}) into ended
    from revoked g where id in (select i::uuid from jsonb_array_elements_text(r->'ids') i);
  select json_agg(json_build_object('name', name, 'version', version, 'changed', s.changed, 'sealed', encode(sealed, 'base64'))) into changed
    from secrets s where s.changed > (r->>'revision')::bigint;
  if (r->>'count')::boolean then select count(*) into active from leases where expires_at >= t; end if;
  return json_build_object('now', team.millis(), 'revision', known, 'active', active,
    'members', (select count(*) from members), 'leases', coalesce(found, '[]'), 'revoked', coalesce(ended, '[]'),
    'secrets', coalesce(changed, '[]'));
end $$;

-- Commits a batch: all of it, or nothing.
create or replace function team.put_1(input text) returns text ${header} as $$
declare
  r constant jsonb := input::jsonb;
  me constant int := (r->>'machine')::int;
  lines constant text[] := array(select jsonb_array_elements_text(r->'lines'));
  -- An array, so that they are found by the index; a join with a list is planned as if it had a hundred.
  ended constant uuid[] := array(select i::uuid from jsonb_array_elements_text(r->'ended') i);
  exclusive constant boolean := (r->>'exclusive')::boolean;
  t timestamptz;
  s state%rowtype;
  n bigint;
begin
  if exclusive then perform pg_advisory_xact_lock(${lock}); else perform pg_advisory_xact_lock_shared(${lock}); end if;
  select * into s from state;
  t := clock_timestamp() + s.clock_offset;
  if abs(extract(epoch from t) * 1000 - (r->>'now')::bigint) > 1000 then ${raise("clock", "the clocks differ")}; end if;
  update machines set audit_seq = audit_seq + cardinality(lines), audit_hash = r->>'new_hash', heard_at = clock_timestamp()
    where id = me and db_role = session_user and status = 'active' and epoch = (r->>'epoch')::int
      and audit_seq = (r->>'seq')::bigint and audit_hash = r->>'hash';
  if not found then ${raise("fenced", "another process writes as this machine, or the machine was removed")}; end if;
  if cardinality(lines) > 0 and r->>'new_hash' is distinct from
      encode(sha256(convert_to(lines[cardinality(lines)] || E'\\n', 'UTF8')), 'hex') then
    ${raise("lines", "the hash is not that of the last line")};
  end if;
  if s.revision <> (r->>'revision')::bigint then ${raise("stale", "the team has changed")}; end if;
  if exclusive then update state set revision = revision + 1 returning * into s; end if;

  if jsonb_array_length(r->'secrets') > 0 then
    insert into secrets (name, version, changed, sealed, sealed_for, value_at)
      select c->>'name', (c->>'version')::int, s.revision, decode(c->>'sealed', 'base64'), coalesce(c->>'for', ''),
        case when (c->>'same')::boolean then null else t end
      from jsonb_array_elements(r->'secrets') c
      on conflict (name) do update set version = excluded.version, changed = excluded.changed, sealed = excluded.sealed,
        sealed_for = excluded.sealed_for, value_at = coalesce(excluded.value_at, secrets.value_at);
  end if;

  if r ? 'count' then
    insert into revoked select id, secret, client, machine, created_at, expires_at, t from leases where expires_at >= t limit 1000;
    delete from leases where expires_at >= t;
    get diagnostics n = row_count;
    if (r->>'exact')::boolean and n <> (r->>'count')::bigint then ${raise("stale", "the number of leases has changed")}; end if;
  end if;
  if jsonb_array_length(r->'revoked') > 0 then
    insert into revoked select id, secret, client, machine, created_at, expires_at, t from leases
      where id = any(ended) and id in (select i::uuid from jsonb_array_elements_text(r->'revoked') i)
      on conflict do nothing;
  end if;
  delete from leases where id = any(ended);
  get diagnostics n = row_count;
  if n <> cardinality(ended) then ${raise("stale", "a lease has ended")}; end if;
  insert into leases (id, pair, secret, client, machine, created_at, expires_at)
    select (l->>'id')::uuid, decode(l->>'pair', 'hex'), l->>'secret', l->>'client', me,
      to_timestamp(0) + (l->>'created')::bigint * interval '1 microsecond',
      to_timestamp(0) + (l->>'expires')::bigint * interval '1 microsecond'
    from jsonb_array_elements(r->'issued') l;
  insert into audit (machine, seq, line) select me, (r->>'seq')::bigint + at, line from unnest(lines) with ordinality u (line, at);
  -- Not by a function, which would be another statement.
  return json_build_object('now', floor(extract(epoch from clock_timestamp() + s.clock_offset) * 1000)::bigint, 'revision', s.revision);
end $$;

-- Returns the time and the revision. Writes nothing.
create or replace function team.beat_1(input text) returns text ${header} as $$
declare
  r constant jsonb := input::jsonb;
  me constant int := team.id_of(r->>'machine');
begin
  if pg_is_in_recovery() then ${raise("standby", "this server is a standby")}; end if;
  if not exists (select 1 from machines where id = me and epoch = (r->>'epoch')::int) then
    ${raise("fenced", "another process writes as this machine")};
  end if;
  return json_build_object('now', team.millis(), 'revision', (select revision from state));
end $$;

-- Adds a signed statement to the list of members, and does what it says. The machines verify the signature.
create or replace function team.member_1(input text) returns text ${header} as $$
declare
  r constant jsonb := input::jsonb;
  me constant int := team.id_of(r->>'machine');
  st constant jsonb := (r->>'statement')::jsonb;
  about constant text := st->>'machine';
  last members%rowtype;
begin
  perform pg_advisory_xact_lock(${lock});
  -- A statement that names nothing to do is null here, and no machine may add it.
  if (st->>'do' in ('found', 'add', 'remove', 'groups', 'assign')) is not true
      or ((select admin from machines where id = me) or (st->>'do' = 'remove' and about = r->>'machine')) is not true then
    ${raise("denied", "this machine may not change the list of machines")};
  end if;
  select * into last from members order by seq desc limit 1;
  if (st->>'seq')::int is distinct from last.seq + 1
      or st->>'prev' is distinct from encode(sha256(convert_to(last.statement, 'UTF8')), 'hex') then
    ${raise("stale", "another machine has changed the list")};
  end if;
  insert into members (seq, statement, sig) values (last.seq + 1, r->>'statement', r->>'sig');
  if st->>'do' = 'add' then
    insert into machines (name, db_role, admin, audit_seq, audit_hash, base_seq, base_hash)
      values (about, r->>'role', (st->>'admin')::boolean, 0, '${emptyHash}', 0, '${emptyHash}');
  elsif st->>'do' = 'remove' then
    update machines set status = 'removed', epoch = epoch + 1 where name = about;
    delete from leases where machine = (select id from machines where name = about);
  end if;
  update state set revision = revision + 1;
  return '{}';
end $$;

-- Reads lists: leases, the lines of a chain, machines.
create or replace function team.read_1(input text) returns text ${header} as $$
declare
  r constant jsonb := input::jsonb;
  me constant int := team.id_of(r->>'machine');
begin
  return case r->>'what'
    when 'leases' then (select coalesce(json_agg(${leaseJson("l")}), '[]') from leases l where expires_at >= team.now())
    when 'counts' then (select coalesce(json_object_agg(secret, n), '{}') from
      (select secret, count(*) n from leases where expires_at >= team.now() group by secret) c)
    when 'all_leases' then (select coalesce(json_agg(id), '[]') from leases)
    when 'heads' then (select json_agg(json_build_object('name', name, 'seq', audit_seq, 'hash', audit_hash,
        'base_seq', base_seq, 'base_hash', base_hash,
        'last', (select line from audit where machine = m.id and seq = m.audit_seq)) order by id)
      from machines m where epoch > 0)
    when 'lines' then (select coalesce(json_agg(line order by seq), '[]') from
      (select seq, line from audit where machine = coalesce((select id from machines where name = r->>'of'), me) and seq > (r->>'after')::bigint order by seq limit 5000) p)
    when 'members' then (select coalesce(json_agg(json_build_object('statement', statement, 'sig', sig) order by seq), '[]')
      from members where seq > (r->>'after')::int)
    when 'versions' then (select coalesce(json_object_agg(name, version), '{}') from secrets)
    when 'secrets' then (select coalesce(json_agg(json_build_object('name', name, 'for', sealed_for,
        'changed', floor(extract(epoch from value_at) * 1000)::bigint) order by name), '[]')
      from secrets where sealed is not null)
    when 'removals' then (select coalesce(json_object_agg(statement::jsonb->>'machine', floor(extract(epoch from at) * 1000)::bigint), '{}')
      from members where statement::jsonb->>'do' = 'remove')
    when 'handed' then (select coalesce(json_object_agg(secret, at), '{}') from (
      select substring(line from '"secret_name":"((?:[^"\\\\]|\\\\.)*)"') as secret, max(floor(extract(epoch from at) * 1000)::bigint) as at
        from audit where machine = (select id from machines where name = r->>'of') and line like '%"action":"lease_acquire"%'
        group by 1) h where secret is not null)
    -- Entries of the other machines with these actions: after a number, or else after an entry of this machine, or else all.
    when 'others' then (select coalesce(json_agg(json_build_object('name', m.name,
        'read', least(m.audit_seq, p.start + ${pageSize}), 'end', m.audit_seq, 'lines', (select coalesce(json_agg(line order by seq), '[]')
          from audit where machine = m.id and seq > p.start and seq <= p.start + ${pageSize}
            and substring(line from '"action":"([a-z_]*)"') = any(array(select jsonb_array_elements_text(r->'actions'))))) order by m.id), '[]')
      from machines m cross join lateral (select coalesce((r->'after'->>m.name)::bigint, case when r ? 'since' then
        (select max(seq) from audit where machine = m.id and at <=
          coalesce((select at from audit where machine = me and seq = (r->>'since')::bigint), now())) end, m.base_seq) as start) p
      where id <> me and epoch > 0)
    when 'machines' then (select json_agg(json_build_object('name', name, 'status', status, 'program', program, 'epoch', epoch,
      'entries', audit_seq - base_seq, 'silent', round(extract(epoch from clock_timestamp() - heard_at))) order by id) from machines)
  end;
end $$;
`

/** The functions that a machine calls. */
export const teamFunctions = ["enter_1", "look_1", "put_1", "beat_1", "read_1", "member_1"] as const

/** Asks for the names of the functions that a database has; anyone may. */
export const functionsQuestion =
  "select coalesce(json_agg(proname), '[]')::text as answer from pg_proc where pronamespace = to_regnamespace('team')"
const decodeNames = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Array(Schema.String)))

/** Returns what is wrong if the database has a newer version of a function; `answer` is that of `functionsQuestion`. */
export const newerFunctions = (answer: unknown): string | undefined => {
  const names = Option.getOrElse(decodeNames(answer), (): ReadonlyArray<string> => [])
  const newer = teamFunctions.some((own) =>
    names.some((name) => stemOf(name) === stemOf(own) && versionOf(name) > versionOf(own))
  )
  return newer ? "the functions of the database are newer than this program: update it" : undefined
}
const stemOf = (name: string): string => name.replace(/_[0-9]+$/, "")
const versionOf = (name: string): number => Number(/_([0-9]+)$/.exec(name)?.[1] ?? 0)

const grants = `
revoke all on all functions in schema team from public;
${teamFunctions.map((name) => `grant execute on function team.${name}(text) to agent_secrets_daemon;`).join("\n")}
`

/** The roles, and the schema that belongs to one that nobody logs in as. */
const roles = `
do $$ begin
  if not exists (select from pg_roles where rolname = 'agent_secrets_owner') then create role agent_secrets_owner nologin; end if;
  if not exists (select from pg_roles where rolname = 'agent_secrets_daemon') then create role agent_secrets_daemon nologin; end if;
  execute format('grant agent_secrets_owner to %I', current_user);
end $$;
create schema team authorization agent_secrets_owner;
grant usage on schema team to agent_secrets_daemon;
`

/** Runs several statements as one, and so in one transaction, as a role. */
const asOne = (text: string, role: string) =>
  `do $as_one$ begin ${role} execute $statements$${text}$statements$; end $as_one$`
const asOwner = "set local role agent_secrets_owner;"

/** Statements that create everything in an empty database. */
export const createStatements = [asOne(roles, ""), asOne(`${tables}${additions}${functions}${grants}`, asOwner)]
/** Statements that bring the functions of an existing database up to date; tables change by adding only. */
export const migrateStatements = ["set lock_timeout = '5s'", asOne(`${additions}${functions}${grants}`, asOwner)]
