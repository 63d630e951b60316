-- AlterTable
ALTER TABLE "mediagate_job" ADD COLUMN "crop" TEXT;

-- AlterTable
ALTER TABLE "mediagate_upload" ADD COLUMN "crop" TEXT;

-- AlterTable
ALTER TABLE "mediagate_variant" ADD COLUMN "look" TEXT;
