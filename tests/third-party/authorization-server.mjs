// `oidc-provider`, set up as BlueConic's authorization server is documented: its paths, PKCE required and S256 alone,
// refresh tokens that rotate, whose second use ends everything that came of the same consent. One line of JSON for each
// token request.
//
//   node authorization-server.mjs REDIRECT_URL
import { createServer } from 'node:http';
import Provider from 'oidc-provider';

const [redirectUrl] = process.argv.slice(2);
const server = createServer();
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  clients: [{
    client_id: 'simulated-client',
    client_secret: 'simulated-secret',
    redirect_uris: [redirectUrl],
    grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
    response_types: ['code'],
    token_endpoint_auth_method: 'client_secret_post',
  }],
  routes: {
    authorization: '/rest/v2/oauth/authorize',
    token: '/rest/v2/oauth/token',
    revocation: '/rest/v2/oauth/revoke',
    introspection: '/rest/v2/oauth/introspect',
  },
  features: {
    devInteractions: { enabled: true },
    clientCredentials: { enabled: true },
    revocation: { enabled: true },
    introspection: { enabled: true },
  },
  scopes: ['read:segments', 'read:profiles', 'read:profile-properties', 'read:audit-events'],
  pkce: { required: () => true },
  rotateRefreshToken: true,
  issueRefreshToken: async () => true,
  ttl: { AccessToken: 3600, ClientCredentials: 3600, RefreshToken: 86400, AuthorizationCode: 60, Interaction: 600, Session: 600, Grant: 86400 },
  cookies: { keys: ['for tests alone'] },
});

const tell = (what) => console.log(JSON.stringify(what));
provider.on('grant.success', (ctx) => tell({ token_request: ctx.oidc.params.grant_type, granted: true }));
provider.on('grant.error', (ctx, error) => tell({ token_request: ctx.oidc.params?.grant_type, error: error.error, detail: error.error_detail }));
provider.on('server_error', (ctx, error) => tell({ server_error: String(error.stack) }));
server.on('request', provider.callback());
tell({ listening: issuer });
