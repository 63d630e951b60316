-- Jobs that wait with no attempt left are few or none among many that wait: the janitor finds them without reading those.
-- A partial index, of which Prisma's schema knows nothing and which Prisma Migrate leaves alone.
CREATE INDEX "mediagate_job_spent_idx" ON "mediagate_job"("availableAt") WHERE "status" = 'PENDING' AND "attemptsLeft" <= 0;

-- A job's row is written about six times until it is done. With the default, a fifth of the table would have to be dead
-- before anybody clears up, and whoever asks for the oldest job would step over all of that.
ALTER TABLE "mediagate_job" SET (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.02);
