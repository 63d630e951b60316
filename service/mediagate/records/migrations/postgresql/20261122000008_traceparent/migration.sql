-- AlterTable
ALTER TABLE "mediagate_job" ADD COLUMN     "traceparent" TEXT;
