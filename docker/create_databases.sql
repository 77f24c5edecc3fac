-- Run once by PostgreSQL when its volume is new. POSTGRES_DB makes the feedback database, this the other two.
CREATE DATABASE airflow;
CREATE DATABASE mlflow;
