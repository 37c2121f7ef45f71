-- Claims on the turn to ask for a token are short and extended while the request runs. A fence tells them apart, so that a
-- holder that stood still neither extends nor settles another's claim.
alter table sync.tokens
  add column fence bigint not null default 0,
  add column claims bigint not null default 0;
comment on column sync.tokens.fence is 'Counts up with each claim of the turn to ask; whoever settles names his own.';
comment on column sync.tokens.claims is 'Claims since one was last settled; more than one: a holder is gone, or stands still.';
comment on column sync.tokens.ciphertext is 'The sealed tokens (XChaCha20-Poly1305): the access token, and the refresh token of an authorization; null without a key, when the access token lives in memory only.';
comment on table sync.tokens is 'State of the tokens: who asked for them, how long they live. The tokens themselves are sealed.';
comment on column sync.tokens.version is 'Counts up with each token, and when an authorization ends; 0 before the first.';
