"""dlt with its REST source: merged by id (upsert), properties as one column of JSON, files as csv (its fastest)."""

import json
import os

os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")
os.environ.setdefault("RUNTIME__LOG_LEVEL", "ERROR")

import dlt
from dlt.sources.helpers import requests
from dlt.sources.rest_api import rest_api_resources

URL = os.environ["BLUECONIC_URL"] + "/rest/v2"
CREDENTIALS = os.environ["BLUECONIC_CLIENT_ID"], os.environ["BLUECONIC_CLIENT_SECRET"]


def main():
    answer = requests.post(f"{URL}/oauth/token", auth=CREDENTIALS, data={"grant_type": "client_credentials"})
    source = rest_api_resources(
        {
            "client": {
                "base_url": URL,
                "auth": {"type": "bearer", "token": answer.json()["access_token"]},
                "paginator": {"type": "cursor", "cursor_path": "nextCursor", "cursor_param": "cursor"},
            },
            "resources": [
                {
                    "name": "segments",
                    "primary_key": "id",
                    "write_disposition": {"disposition": "merge", "strategy": "upsert"},
                    "max_table_nesting": 0,
                    "endpoint": {
                        "path": "segments",
                        "data_selector": "segments",
                        "params": {"count": 1000},
                        "paginator": "single_page",
                    },
                },
                {
                    # Events have no id.
                    "name": "audit_events",
                    "write_disposition": "replace",
                    "max_table_nesting": 0,
                    "endpoint": {
                        "path": "auditEvents",
                        "data_selector": "auditEvents",
                        "params": {"count": 1000},
                        "paginator": "single_page",
                    },
                },
                {
                    "name": "profiles",
                    "primary_key": "id",
                    "write_disposition": {"disposition": "merge", "strategy": "upsert"},
                    "max_table_nesting": 0,
                    "endpoint": {
                        "path": "segments/allvisitors/profiles",
                        "data_selector": "profiles",
                        "params": {
                            "cursor": "*",
                            "count": 1000,
                            "expand": [
                                "profiles.profile.segments",
                                "profiles.profile.permissions",
                                "profiles.profile.replace",
                            ],
                        },
                    },
                }
            ],
        }
    )
    pipeline = dlt.pipeline("bench", destination="postgres", dataset_name="peer", pipelines_dir=os.environ["DLT_HOME"])
    pipeline.run(source, loader_file_format="csv")
    with pipeline.sql_client() as client, client.execute_query("select count(*) from profiles") as rows:
        print(json.dumps({"rows_read": rows.fetchone()[0]}))


main()
