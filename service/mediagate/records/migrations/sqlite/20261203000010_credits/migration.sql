-- AlterTable
ALTER TABLE "mediagate_job" ADD COLUMN "credits" INTEGER NOT NULL DEFAULT 0;
