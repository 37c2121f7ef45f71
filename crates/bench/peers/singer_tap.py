"""A tap for profiles by the singer-sdk's cookbook; its records go to target-postgres."""

import os

import requests
from singer_sdk import RESTStream, Tap
from singer_sdk import typing as th

URL = os.environ["BLUECONIC_URL"] + "/rest/v2"
CREDENTIALS = os.environ["BLUECONIC_CLIENT_ID"], os.environ["BLUECONIC_CLIENT_SECRET"]

ANYTHING = th.CustomType({"type": ["array", "object", "null"]})


class Profiles(RESTStream):
    name = "profiles"
    path = "/segments/allvisitors/profiles"
    url_base = URL
    primary_keys = ("id",)
    records_jsonpath = "$.profiles[*]"
    next_page_token_jsonpath = "$.nextCursor"
    schema = th.PropertiesList(
        th.Property("id", th.StringType, required=True),
        th.Property("creationDate", th.DateTimeType),
        th.Property("privacyLegislation", th.StringType),
        th.Property("permissions", ANYTHING),
        th.Property("consentedObjectives", ANYTHING),
        th.Property("refusedObjectives", ANYTHING),
        th.Property("segments", ANYTHING),
        th.Property("replaces", ANYTHING),
        th.Property("properties", ANYTHING),
    ).to_dict()

    @property
    def http_headers(self):
        if not hasattr(self, "token"):
            form = {"grant_type": "client_credentials"}
            answer = requests.post(f"{URL}/oauth/token", auth=CREDENTIALS, data=form, timeout=60)
            self.token = answer.json()["access_token"]
        return {"Authorization": "Bearer " + self.token}

    def get_url_params(self, context, next_page_token):
        parts = ["segments", "permissions", "replace"]
        return {
            "cursor": next_page_token or "*",
            "count": 1000,
            "expand": ["profiles.profile." + part for part in parts],
        }


class BlueConic(Tap):
    name = "tap-blueconic"
    config_jsonschema = th.PropertiesList().to_dict()

    def discover_streams(self):
        return [Profiles(self)]


BlueConic.cli()
