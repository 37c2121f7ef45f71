-- Questions that a marketing analyst asks, each with one query: run them with psql, or copy one.
-- Names of segments, objectives and properties are those of the demo; put in your own. Times are in UTC.

-- How current is each table, and does it lack something?
select resource, complete_as_of, open_gaps
from blueconic.freshness
order by resource;

-- Who is in a segment?
with m as (select m.profile_id from blueconic.profile_segments as m
  join blueconic.segments as s on s.id = m.segment_id
  where s.name = 'High value'
  order by m.profile_id limit 100)
select m.profile_id, w.email, w.country
from m
join blueconic.profiles_wide as w on w.id = m.profile_id
order by m.profile_id;

-- How large is each segment, as the tenant counts and as it is here?
with m as (select segment_id, count(*) as profiles
  from blueconic.profiles as p cross join lateral unnest(p.segment_ids) as segment_id
  group by segment_id)
select s.name, s.profile_count as by_the_tenant, coalesce(m.profiles, 0) as profiles
from blueconic.segments as s
left join m on m.segment_id = s.id
order by profiles desc, s.name;

-- Segment overlap: how many are in one of two segments, and how many in both?
with one as (select m.profile_id from blueconic.profile_segments as m
  join blueconic.segments as s on s.id = m.segment_id where s.name = 'High value'),
other as (select m.profile_id from blueconic.profile_segments as m
  join blueconic.segments as s on s.id = m.segment_id where s.name = 'Newsletter readers')
select count(one.profile_id) as in_one, count(other.profile_id) as in_other,
  count(*) filter (where one.profile_id = other.profile_id) as in_both
from one full join other on other.profile_id = one.profile_id;

-- Which other segments are the members of a segment in?
with members as materialized (select p.segment_ids from blueconic.profile_segments as m
  join blueconic.segments as s on s.id = m.segment_id
  join blueconic.profiles as p on p.id = m.profile_id where s.name = 'High value')
select s.name, count(*) as profiles, round(100.0 * count(*) / (select count(*) from members), 1) as percent
from members
cross join lateral unnest(members.segment_ids) as segment_id
join blueconic.segments as s on s.id = segment_id
where s.name <> 'High value'
group by s.id, s.name
order by profiles desc, s.name;

-- Segment comparison: how do segments differ in visits, orders and known e-mail addresses?
select s.name, count(*) as profiles, round(avg(w.visits), 1) as visits,
  round(avg(w.order_value), 2) as order_value, round(100.0 * count(w.email) / count(*), 1) as percent_with_email
from blueconic.profiles as p
join blueconic.profiles_wide as w on w.id = p.id
cross join lateral unnest(p.segment_ids) as segment_id
join blueconic.segments as s on s.id = segment_id
group by s.id, s.name
order by s.name;

-- How many profiles does each country have?
select country, count(*) as profiles
from blueconic.profiles_wide
group by country
order by profiles desc, country;

-- Under which legislation were profiles collected, and what may be stored of them?
select privacy_legislation, permission_level, count(*) as profiles
from blueconic.profiles
group by privacy_legislation, permission_level
order by profiles desc, privacy_legislation, permission_level;

-- How many profiles consent to each objective, and how many refuse?
select objective_id, count(*) filter (where state = 'consented') as consented,
  count(*) filter (where state = 'refused') as refused
from blueconic.profile_consent
group by objective_id
order by objective_id;

-- Whom may we send e-mail: an address, and consent to the objective?
select c.legislation, count(*) as profiles
from blueconic.profile_consent as c
join blueconic.profiles_wide as w on w.id = c.profile_id
where c.objective_id = 'e_mail_marketing' and c.state = 'consented' and w.email <> ''
group by c.legislation
order by profiles desc, c.legislation;

-- Who shares an e-mail address?
select value as email, count(*) as profiles, min(profile_id) as one_of_them
from blueconic.profile_identifiers
where property_id = 'email'
group by value
having count(*) > 1
order by profiles desc, email
limit 100;

-- Profile identifiers: how many values has each, and of how many profiles?
select property_id, count(*) as rows, count(distinct value) as different_values, count(distinct profile_id) as profiles
from blueconic.profile_identifiers
group by property_id
order by property_id;

-- Which values do not fit the type of their property?
select property_id, problem, profiles, example_profile_id
from blueconic.value_problems
order by profiles desc, property_id, problem;

-- Profile property filling level: how well is each property filled?
select property_id, property_type, profiles, round(filled_share, 3) as filled, distinct_values,
  round(misfit_share, 3) as misfit, minimum, maximum
from blueconic.quality
order by property_id, column_name;

-- Profile property distribution: how often does each range of a number occur?
select visits / 50 * 50 as visits_from, visits / 50 * 50 + 49 as visits_to, count(*) as profiles
from blueconic.profiles_wide
group by visits / 50
order by visits_from;

-- Which topics are people interested in? A property that keeps several values.
select topic, count(*) as profiles
from blueconic.profiles_wide as w
cross join lateral unnest(coalesce(w.newsletter_topics_all, array[w.newsletter_topics])) as topic
where topic is not null
group by topic
order by profiles desc, topic;

-- Profile origin: where do profiles come from?
select origin_type, count(*) as profiles, round(100.0 * count(*) / sum(count(*)) over (), 1) as percent
from blueconic.profiles_wide
group by origin_type
order by profiles desc, origin_type;

-- Which profiles changed last?
select id, modified_at
from blueconic.profiles
order by modified_at desc nulls last, id
limit 20;

-- How many of today's profiles are new in each month?
select to_char(created_at at time zone 'UTC', 'YYYY-MM') as month, count(*) as profiles
from blueconic.profiles_wide
group by month
order by month;

-- On how many days did profiles change last, and how many on each?
select (modified_at at time zone 'UTC')::date as day, count(*) as profiles
from blueconic.profiles_wide
group by day
order by day desc nulls last
limit 30;

-- Cohort: of the profiles that are new in a month, how many still changed after 30, 90 and 365 days?
select to_char(created_at at time zone 'UTC', 'YYYY-MM') as cohort, count(*) as profiles,
  count(*) filter (where modified_at >= created_at + interval '30 days') as after_30_days,
  count(*) filter (where modified_at >= created_at + interval '90 days') as after_90_days,
  count(*) filter (where modified_at >= created_at + interval '365 days') as after_365_days
from blueconic.profiles_wide
group by cohort
order by cohort;

-- Funnel: how many came, came back, gave an address, ordered?
select count(*) as came, count(*) filter (where visits > 1) as came_back,
  count(*) filter (where visits > 1 and email <> '') as gave_an_address,
  count(*) filter (where visits > 1 and email <> '' and order_value > 0) as ordered
from blueconic.profiles_wide;

-- Hour of day: when do profiles change?
select extract(hour from modified_at at time zone 'UTC')::integer as hour, count(*) as profiles
from blueconic.profiles_wide
group by hour
order by hour;

-- Merged profiles: how many merges were noticed in each month?
select to_char(noticed_at at time zone 'UTC', 'YYYY-MM') as month, count(*) as merged,
  count(distinct survivor_id) as survivors
from blueconic.profile_merges
group by month
order by month;

-- Which profiles did most others merge into?
select survivor_id, count(*) as merged
from blueconic.profile_merges
group by survivor_id
order by merged desc, survivor_id
limit 20;

-- How many profiles are gone, and why?
select reason, count(*) as profiles
from blueconic.profile_tombstones
group by reason
order by reason;

-- Audit: who changed what last, under which name does it go today?
select occurred_at, user_name, operation, object_type, coalesce(name_now, name_then, object_id) as object
from blueconic.audit_events_named
where operation in ('CREATE', 'UPDATE', 'DELETE')
order by occurred_at desc, user_name, operation, object_type, object
limit 100;

-- Audit: who does how much?
select user_name, count(*) as events, count(*) filter (where operation = 'UPDATE') as changes,
  max(occurred_at) as last_at
from blueconic.audit_events
group by user_name
order by events desc, user_name;

-- Audit, hour of day: when do people work?
select extract(hour from occurred_at at time zone 'UTC')::integer as hour, count(*) as events
from blueconic.audit_events
group by hour
order by hour;

-- Connection runs: how many has each connection, and how long do they take?
select c.name, count(r.run_id) as runs, count(*) filter (where r.state = 'FAILED') as failed,
  max(r.started_at) as last_started_at, round(avg(extract(epoch from r.ended_at - r.started_at))) as average_seconds
from blueconic.connections as c
left join blueconic.connection_runs as r on r.connection_id = c.id
group by c.id
order by c.name, c.id;

-- Connection runs: how many profiles came in and went out?
select c.name, s.statistic, count(*) as runs, sum(s.amount) as amount
from blueconic.connection_run_statistics as s
join blueconic.connections as c on c.id = s.connection_id
group by c.id, s.statistic
order by c.name, c.id, s.statistic;

-- Dialogue effectiveness: what did each dialogue bring?
select d.name, sum(s.views) as views, sum(s.clicks) as clicks, sum(s.conversions) as conversions,
  round(100.0 * sum(s.clicks) / nullif(sum(s.views), 0), 2) as percent_clicked
from blueconic.dialogues as d
join blueconic.dialogue_statistics as s on s.dialogue_id = d.id
group by d.id
order by views desc nulls last, d.id;

-- What did profiles do in each month?
select to_char(occurred_at at time zone 'UTC', 'YYYY-MM') as month, event_type_id, count(*) as events,
  count(distinct profile_id) as profiles
from blueconic.timeline_events
group by month, event_type_id
order by month, event_type_id;

-- Lifecycles: how many profiles are in each stage today?
select m.lifecycle_id, m.stage_id, s.name as stage, count(*) as profiles
from blueconic.profile_lifecycle_stages as m
left join blueconic.lifecycle_stages as s on s.lifecycle_id = m.lifecycle_id and s.stage_id = m.stage_id
group by m.lifecycle_id, m.stage_id, s.name
order by m.lifecycle_id, m.stage_id;

-- Which groups have most profiles?
select g.group_type_id, g.id, g.name, count(m.profile_id) as profiles
from blueconic.groups as g
left join blueconic.profile_groups as m on m.group_type_id = g.group_type_id and m.group_id = g.id
group by g.group_type_id, g.id, g.name
order by profiles desc, g.group_type_id, g.id
limit 20;

-- Segment over time: how large was each segment on each of the last 30 days, and how much did it grow?
select d.day, s.name, d.profiles, d.profiles - lag(d.profiles) over (partition by s.id order by d.day) as growth
from blueconic.daily_segment_sizes as d
join blueconic.segments as s on s.id = d.segment_id
where d.day > (now() at time zone 'UTC')::date - 30
order by d.day desc, s.name;

-- Segment over time: how many profiles came and went in the last 7 days? (Needs history.segments.)
with h as materialized (select segment_id, valid_from, valid_to from blueconic.segment_membership_history
  where valid_from > now() - interval '7 days' or valid_to > now() - interval '7 days')
select s.name, count(*) filter (where h.valid_from > greatest(r.recorded_since, now() - interval '7 days')) as came,
  count(*) filter (where h.valid_to > now() - interval '7 days') as went
from h
join blueconic.recorded_histories as r on r.history = 'segment_membership_history'
join blueconic.segments as s on s.id = h.segment_id
group by s.id, s.name
order by s.name;

-- Who was in a segment an hour ago, and is no more? (Needs history.segments.)
select h.profile_id, h.valid_from, h.valid_to
from blueconic.segment_membership_history as h
join blueconic.segments as s on s.id = h.segment_id
where s.name = 'High value'
  and h.valid_from <= now() - interval '1 hour' and h.valid_to > now() - interval '1 hour'
order by h.valid_to desc, h.profile_id;

-- Lifecycle stage transition: from which stage did how many go to which? (Needs history.lifecycle_stages.)
select one.lifecycle_id, one.stage_id as from_stage, next.stage_id as to_stage, count(*) as profiles
from blueconic.lifecycle_stage_history as one
join blueconic.lifecycle_stage_history as next on next.profile_id = one.profile_id
  and next.lifecycle_id = one.lifecycle_id and next.valid_from = one.valid_to
group by one.lifecycle_id, from_stage, to_stage
order by profiles desc, one.lifecycle_id, from_stage, to_stage;

-- Consent over time: how many withdrew it in each month? (Needs history.consent.)
select to_char(valid_to at time zone 'UTC', 'YYYY-MM') as month, objective_id, count(distinct profile_id) as profiles
from blueconic.profile_consent_history
where state = 'consented' and not is_current
group by month, objective_id
order by month, objective_id;

-- Values over time: which values of a property became which? (Needs history.properties.)
select one.value as was, next.value as became, count(*) as profiles
from blueconic.profile_property_history as one
join blueconic.profile_property_history as next on next.profile_id = one.profile_id
  and next.property_id = one.property_id and next.valid_from = one.valid_to
where one.property_id = 'country'
group by was, became
order by profiles desc, was, became;

-- Profiles over time: how many were there in each month on average, and how many of them were known?
select to_char(day, 'YYYY-MM') as month, round(avg(profiles)) as profiles, round(avg(known)) as known
from (select day, sum(profiles) as profiles, sum(profiles) filter (where is_known) as known
  from blueconic.daily_profile_counts group by day) as days
group by month
order by month;

-- Profile property filling level over time: how many profiles had each property 30 days ago, and how many have it today?
select property_id, sum(profiles) filter (where day = (now() at time zone 'UTC')::date - 30) as then,
  sum(profiles) filter (where day = (now() at time zone 'UTC')::date) as now
from blueconic.daily_property_fill
group by property_id
order by property_id;
