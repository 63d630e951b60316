"""Records in a database, on SQLite or PostgreSQL, through Prisma."""

from mediagate.records.prisma.records import PrismaRecords

__all__ = ["PrismaRecords"]
