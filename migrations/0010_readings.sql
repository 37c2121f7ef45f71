-- Which of two readings of a profile is the later one. Dates of the tenant's fall and vanish, and `synced_at` says when a row
-- was stored, not when the tenant was asked: two pages of one walk may be loaded in either order.

alter table blueconic.profiles add column asked_at timestamptz;
comment on column blueconic.profiles.asked_at is
  'When a full walk or a look-up sent the request that brought this row (the database''s clock); null if an increment did, or a version before 0010. A row that is read again unchanged keeps it.';
