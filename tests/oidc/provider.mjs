// A real OAuth 2.0 / OpenID Connect authorization server for the tests: the npm package
// `oidc-provider` (9.13.3), on 127.0.0.1 and a free port, with everything kept in memory.
//
//   TOKEN_SECONDS=62 node tests/oidc/provider.mjs MODULES_FOLDER
//
// MODULES_FOLDER is the folder that has node_modules/oidc-provider. `listening PORT` is the only
// line on stdout; the issuer is http://127.0.0.1:PORT. It ends when its stdin closes.
//
//   client `machine`  client_credentials, client_secret_basic, secret machine-secret-of-the-tests
//   client `person`   public and native: authorization code with PKCE, device code, refresh token
//   GET /resource     200 {"client", "account"} for a valid bearer token, else 401
//
// Whoever opens a sign-in page is signed in as `ada` and has granted every scope asked for.

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const ACCOUNT = 'ada';
const folder = process.argv[2];
const tokenSeconds = Number(process.env.TOKEN_SECONDS || 3600);
if (!folder || !Number.isInteger(tokenSeconds) || tokenSeconds < 1) {
  console.error('usage: [TOKEN_SECONDS=N] node provider.mjs MODULES_FOLDER');
  process.exit(2);
}

// The parent holds the other end of stdin, so its death, however sudden, closes it.
for (const event of ['end', 'error', 'close']) process.stdin.on(event, () => process.exit(0));
process.stdin.resume();

// The package says through these two that its defaults are for development only, and some of it
// would go to stdout, where the one line belongs. Its errors come as events (see below).
console.info = () => {};
console.warn = () => {};

// The package is not installed beside this file, so a plain import would not find it.
const modules = createRequire(join(resolve(folder), 'any.js'));
const { Provider } = await import(pathToFileURL(modules.resolve('oidc-provider')).href);

// The issuer has the port in it, so the port comes first and the provider after it.
const server = createServer();
await new Promise((done) => server.listen(0, '127.0.0.1', done));
const { port } = server.address();

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [
    {
      client_id: 'machine',
      client_secret: 'machine-secret-of-the-tests',
      token_endpoint_auth_method: 'client_secret_basic',
      grant_types: ['client_credentials'],
      response_types: [],
      redirect_uris: [],
      scope: 'api',
    },
    {
      client_id: 'person',
      token_endpoint_auth_method: 'none',
      // Native: any port of the loopback redirect is allowed.
      application_type: 'native',
      redirect_uris: ['http://127.0.0.1/callback'],
      grant_types: [
        'authorization_code',
        'refresh_token',
        'urn:ietf:params:oauth:grant-type:device_code',
      ],
      response_types: ['code'],
      scope: 'openid offline_access api',
    },
  ],
  clientDefaults: { id_token_signed_response_alg: 'ES256' },
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), alg: 'ES256', use: 'sig' }] },
  cookies: { keys: [randomBytes(32).toString('hex')] },
  scopes: ['openid', 'offline_access', 'api'],
  responseTypes: ['code'],
  // Left at its default, a secret in the body would be taken too.
  clientAuthMethods: ['client_secret_basic', 'none'],
  features: {
    clientCredentials: { enabled: true },
    deviceFlow: { enabled: true },
    devInteractions: { enabled: false },
    // `api` is a plain scope here; with this on, a `resource` parameter would be refused.
    resourceIndicators: { enabled: false },
  },
  pkce: { required: () => true },
  // By itself the package gives a refresh token only to who sends prompt=consent.
  issueRefreshToken: (_ctx, client) => client.grantTypeAllowed('refresh_token'),
  rotateRefreshToken: true,
  // Tokens outlive the browser's session, which a test throws away.
  expiresWithSession: () => false,
  findAccount: (_ctx, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
  ttl: { AccessToken: tokenSeconds, ClientCredentials: tokenSeconds },
  // Not 15 seconds more: a token is refused from the second it expires.
  clockTolerance: 0,
});

// What is wrong in this file or in the package; a refused request is no such event.
provider.on('server_error', (_ctx, error) => console.error(error));

provider.use(async (ctx, next) => {
  if (ctx.path === '/resource' && ctx.method === 'GET') {
    const value = /^Bearer +(\S+)$/i.exec(ctx.get('authorization'))?.[1];
    const token = value
      && (await provider.AccessToken.find(value) || await provider.ClientCredentials.find(value));
    if (token) {
      ctx.body = { client: token.clientId, account: token.accountId ?? null };
    } else {
      ctx.set('WWW-Authenticate', value ? 'Bearer error="invalid_token"' : 'Bearer');
      ctx.status = 401;
    }
  } else if (ctx.path.startsWith('/interaction/')) {
    const { params } = await provider.interactionDetails(ctx.req, ctx.res);
    const grant = new provider.Grant({ accountId: ACCOUNT, clientId: params.client_id });
    grant.addOIDCScope(params.scope ?? '');
    const result = { login: { accountId: ACCOUNT }, consent: { grantId: await grant.save() } };
    // interactionFinished writes the answer past koa.
    ctx.respond = false;
    await provider.interactionFinished(ctx.req, ctx.res, result);
  } else {
    await next();
  }
});

server.on('request', provider.callback());
console.log(`listening ${port}`);
