-- CreateTable
CREATE TABLE "mediagate_identity" (
    "name" TEXT NOT NULL PRIMARY KEY,
    "id" TEXT NOT NULL,
    "generation" BIGINT NOT NULL
);
