-- AlterTable
ALTER TABLE "mediagate_output" ADD COLUMN     "page" INTEGER;
