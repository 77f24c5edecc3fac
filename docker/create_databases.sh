#!/usr/bin/env bash
# A database for each of the feedback loop, Airflow and MLflow, and a role that owns it and can enter no other. Run once by
# PostgreSQL's image when its volume is new, as the superuser, whose password no service gets.
set -euo pipefail

create() { # NAME PASSWORD
  [[ "$2" =~ ^[A-Za-z0-9]{16,}$ ]] || {
    echo "Expected a password of 16 letters and digits or more for the database $1: see docker/env.example." >&2
    exit 1
  }
  psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --set=name="$1" --set=password="$2" \
    --username="$POSTGRES_USER" --dbname=postgres <<'SQL'
CREATE ROLE :"name" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
SQL
}

create recsys "$RECSYS_DB_PASSWORD"
create airflow "$AIRFLOW_DB_PASSWORD"
create mlflow "$MLFLOW_DB_PASSWORD"
psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname=postgres \
  --command='REVOKE CONNECT ON DATABASE postgres FROM PUBLIC' --command='REVOKE CONNECT ON DATABASE template1 FROM PUBLIC'
