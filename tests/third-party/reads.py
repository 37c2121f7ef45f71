"""Reads the analysts' tables and views with pandas and DuckDB, and prints what came as JSON.

    reads.py HOST PORT USER DATABASE RELATION...

pandas reads `select *` of each relation and writes it as JSON. DuckDB attaches the database and sums a column of profiles_wide.
"""

import glob
import json
import os
import sys
import warnings

import duckdb
import duckdb_extension_postgres_scanner
import pandas
import psycopg


def read_with_pandas(connection: psycopg.Connection, relation: str) -> dict:
    # pandas warns about each connection that is not of SQLAlchemy.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        frame = pandas.read_sql(f'select * from blueconic."{relation}"', connection)
    return {"rows": len(frame), "json": len(json.loads(frame.to_json(orient="records", date_format="iso")))}


def read_with_duckdb(where: str) -> dict:
    folder = os.path.dirname(duckdb_extension_postgres_scanner.__file__)
    (extension,) = glob.glob(f"{folder}/extensions/*/*.duckdb_extension")
    connection = duckdb.connect()
    connection.execute(f"load '{extension}'")
    connection.execute(f"attach '{where}' as tenant (type postgres, read_only)")
    query = "select count(*), sum(visits)::bigint from tenant.blueconic.profiles_wide"
    rows, visits = connection.execute(query).fetchone()
    return {"rows": rows, "visits": visits}


def main() -> None:
    host, port, user, database, *relations = sys.argv[1:]
    where = f"host={host} port={port} user={user} dbname={database}"
    with psycopg.connect(where) as connection:
        frames = {relation: read_with_pandas(connection, relation) for relation in relations}
    print(json.dumps({"pandas": frames, "duckdb": read_with_duckdb(where)}))


if __name__ == "__main__":
    main()
