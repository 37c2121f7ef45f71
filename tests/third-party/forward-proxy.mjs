// `proxy-chain`, a forward proxy that other people wrote: by http, or by https with a certificate. One line of JSON for each request.
//
//   node forward-proxy.mjs USER PASSWORD [CERTIFICATE KEY]
import { readFileSync } from 'node:fs';
import { RequestError, Server } from 'proxy-chain';

const [user, password, certificate, key] = process.argv.slice(2);
const tell = (what) => console.log(JSON.stringify(what));
const encrypted = certificate
  ? { serverType: 'https', httpsOptions: { cert: readFileSync(certificate), key: readFileSync(key) } }
  : {};
const server = new Server({
  host: '127.0.0.1',
  port: 0,
  ...encrypted,
  prepareRequestFunction: (request) => {
    const granted = request.username === user && request.password === password;
    tell({ asked: `${request.hostname}:${request.port}`, granted });
    if (request.hostname === '192.0.2.1') throw new RequestError('this host is not allowed', 403);
    return { requestAuthentication: !granted };
  },
});
await server.listen();
tell({ listening: server.port });
