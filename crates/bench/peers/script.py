"""A simple first script: pages with requests, rows with execute_values and `on conflict`; segments, profiles, events."""

import json
import os

import psycopg2
from psycopg2.extras import execute_values
import requests

URL = os.environ["BLUECONIC_URL"] + "/rest/v2"
CREDENTIALS = os.environ["BLUECONIC_CLIENT_ID"], os.environ["BLUECONIC_CLIENT_SECRET"]

TABLE = """
create table if not exists profiles (
  id text primary key, created_at timestamptz, modified_at timestamptz, privacy_legislation text,
  permission_level text, consented_objectives text[], refused_objectives text[], segment_ids text[],
  properties jsonb, synced_at timestamptz not null default now())"""

SEGMENTS = """
create table if not exists segments (
  id text primary key, name text, description text, tags text[], profile_count bigint, created_at timestamptz,
  modified_at timestamptz, synced_at timestamptz not null default now())"""

UPSERT_SEGMENTS = """
insert into segments (id, name, description, tags, profile_count, created_at, modified_at) values %s
on conflict (id) do update set
  name = excluded.name, description = excluded.description, tags = excluded.tags,
  profile_count = excluded.profile_count, created_at = excluded.created_at, modified_at = excluded.modified_at,
  synced_at = now()"""

EVENTS = "create table if not exists audit_events (date timestamptz, event jsonb, unique (date, event))"

UPSERT_EVENTS = "insert into audit_events (date, event) values %s on conflict do nothing"

UPSERT = """
insert into profiles (id, created_at, modified_at, privacy_legislation, permission_level,
  consented_objectives, refused_objectives, segment_ids, properties)
values %s
on conflict (id) do update set
  created_at = excluded.created_at, modified_at = excluded.modified_at,
  privacy_legislation = excluded.privacy_legislation, permission_level = excluded.permission_level,
  consented_objectives = excluded.consented_objectives, refused_objectives = excluded.refused_objectives,
  segment_ids = excluded.segment_ids, properties = excluded.properties, synced_at = now()"""

TEMPLATE = "(%s, %s, to_timestamp(%s / 1000.0), %s, %s, %s, %s, %s, %s)"


def row(profile):
    properties = {one["id"]: one["values"] for one in profile.get("properties", [])}
    modified = properties.get("lastmodifieddate")
    return (
        profile["id"],
        profile.get("creationDate"),
        int(modified[0]) if modified else None,
        profile.get("privacyLegislation"),
        profile.get("permissions", {}).get("level"),
        profile.get("consentedObjectives", []),
        profile.get("refusedObjectives", []),
        [segment["id"] for segment in profile.get("segments", [])],
        json.dumps(properties),
    )


def listed(session, path, key):
    answer = session.get(f"{URL}/{path}", params={"count": 1000})
    answer.raise_for_status()
    return answer.json()[key]


def segment(one):
    texts = [one.get(key) for key in ("id", "name", "description")]
    return (*texts, one.get("tags", []), one.get("profileCount"), one.get("creationDate"), one.get("lastModifiedDate"))


def main():
    session = requests.Session()
    answer = session.post(f"{URL}/oauth/token", auth=CREDENTIALS, data={"grant_type": "client_credentials"})
    session.headers["Authorization"] = "Bearer " + answer.json()["access_token"]
    connection = psycopg2.connect(os.environ["DATABASE_URL"])
    read, cursor = 0, "*"
    with connection.cursor() as database:
        for table in (SEGMENTS, TABLE, EVENTS):
            database.execute(table)
        execute_values(database, UPSERT_SEGMENTS, map(segment, listed(session, "segments", "segments")))
        connection.commit()
        while cursor:
            parts = ["segments", "permissions", "replace"]
            query = {"cursor": cursor, "count": 1000, "expand": ["profiles.profile." + part for part in parts]}
            page = session.get(f"{URL}/segments/allvisitors/profiles", params=query)
            page.raise_for_status()
            page = page.json()
            rows = [row(profile) for profile in page["profiles"]]
            execute_values(database, UPSERT, rows, TEMPLATE, page_size=1000)
            connection.commit()
            read += len(rows)
            cursor = page.get("nextCursor")
        events = listed(session, "auditEvents", "auditEvents")
        execute_values(database, UPSERT_EVENTS, [(one["date"], json.dumps(one)) for one in events], page_size=1000)
        connection.commit()
    print(json.dumps({"rows_read": read}))


main()
