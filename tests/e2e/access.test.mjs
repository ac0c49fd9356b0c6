// Who may come in, from outside: tokens, another server's word, origins, addresses. What is refused never reaches a server.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import http from 'node:http'
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { WebSocket } from 'ws'
import { Backend, Wire, answer, frame, plain, request, switching, tunnel } from './lib/raw.mjs'
import { Turnout, binary, freePort, until } from './lib/turnout.mjs'
import { forged, inSeconds, key, unsigned } from './lib/tokens.mjs'

const rsa = key('RS256', 'r1'); const ec = key('ES256', 'e1'); const other = key('ES256', 'e1'); const secret = key('HS256')
const app = 'https://app.example.com'
const isSanitized = /asan|tsan/.test(binary)
let turnout, server, auth, authPort, port6
const asked = [] // by turnout of the auth server

before(async () => {
  server = await Backend.start(async (wire, { head, fields }) => {
    if (fields.upgrade) { wire.send(switching(fields['sec-websocket-key'])); wire.socket.on('data', () => wire.send(frame('back', { masked: false }))); return 'tunnel' }
    wire.send(answer(200, 'in'))
  })
  auth = http.createServer((req, res) => {
    asked.push(req)
    const word = req.headers['x-word'] ?? new URL(req.headers['x-original-uri'], 'http://x').searchParams.get('word')
    if (word === 'yes') return res.writeHead(204, { 'X-User': 'joe', 'X-Role': ['a', 'b'], 'X-Secret': 's' }).end()
    if (word === 'silent') return
    if (word === 'broken') return res.writeHead(500).end('oops')
    if (word === 'login') return res.writeHead(302, { Location: 'https://id.example.com/login', 'Set-Cookie': 'state=1' }).end()
    if (word === 'forbidden') return res.writeHead(403, { 'Content-Type': 'application/json' }).end('{"why":"no"}')
    res.writeHead(401, { 'WWW-Authenticate': 'Basic realm="ours"', 'X-User': 'joe' })
    res.write('who ')
    res.end('are you?')
  })
  await new Promise(resolve => auth.listen(0, '127.0.0.1', resolve))
  authPort = auth.address().port
  const dead = await freePort()
  port6 = await freePort('::1')
  turnout = await Turnout.start(t => {
    writeFileSync(path.join(t.dir, 'jwks.json'), JSON.stringify({ keys: [rsa.jwk, ec.jwk, { kty: 'RSA', use: 'enc', n: 'AQAB', e: 'AQAB' }] }))
    writeFileSync(path.join(t.dir, 'secret'), secret.secret + '\n')
    writeFileSync(path.join(t.dir, 'rsa.pem'), rsa.pem)
    return `listeners: [ { listen: 127.0.0.1:${t.port} }, { listen: "[::1]:${port6}" }, { listen: "unix:${t.dir}/l.sock" } ]
trusted_proxies: [ 127.0.0.2, unix ]
timeouts: { request_head: 2s }
pools: { web: { servers: [ ${server.address} ] } }
routes:
  - match: { prefix: /jwt }
    pool: web
    access: { jwt: { keys: { file: jwks.json }, issuer: "https://id.example.com", audience: [ api, chat ], leeway: 5s, from: [ header.Authorization, cookie.token, query.access_token, subprotocol ] } }
    headers: { request: { set: { X-User: "{jwt.sub}", X-Roles: "{jwt.realm.roles}" } } }
  - { match: { prefix: /secret }, pool: web, access: { jwt: { keys: { file: secret }, from: header.X-Token } } }
  - { match: { prefix: /pem }, pool: web, access: { jwt: { keys: { file: rsa.pem } } } }
  - { match: { prefix: /auth/many }, pool: web, headers: { request: { set: { X-Level: plain } } }, access: { auth: { url: "http://127.0.0.1:${authPort}/check", copy: X-User } } }
  - { match: { prefix: /auth/open }, pool: web, access: { auth: { url: "http://127.0.0.1:${authPort}/check", copy: X-User, timeout: 1500ms, fail: open } } }
  - { match: { prefix: /auth }, pool: web, access: { auth: { url: "http://127.0.0.1:${authPort}/check?q", copy: [ X-User, X-Role ], timeout: 1500ms } } }
  - { match: { prefix: /dead/open }, pool: web, access: { auth: { url: "http://127.0.0.1:${dead}", fail: open, copy: X-User } } }
  - { match: { prefix: /dead }, pool: web, access: { auth: { url: "http://127.0.0.1:${dead}" } } }
  - { match: { prefix: /both }, pool: web, access: { origins: "${app}", jwt: { keys: { file: secret } }, auth: { url: "http://127.0.0.1:${authPort}/" } } }
  - { match: { prefix: /origin }, pool: web, access: { origins: [ "${app}", "https://*.example.org:8443", same ] } }
  - { match: { prefix: /nets }, pool: web, access: { allow: [ 127.0.0.0/8, "2001:db8::/32", unix ], deny: 127.0.0.3 } }
  - { match: { prefix: /respond }, access: { origins: "${app}" }, respond: { status: 200, body: hello } }
`
  })
})
after(async () => { await turnout.stop(); await server.stop(); auth.closeAllConnections(); auth.close() })

async function get (path, extra = '', { method, localAddress, host, data } = {}) {
  server.requests.length = 0
  const wire = await Wire.connect(host === '::1' ? port6 : turnout.port, { localAddress, host })
  wire.send(data ?? plain(path, extra, method))
  const got = await wire.head()
  got.body = (await wire.take(Number(got.fields['content-length'] ?? 0))).toString()
  got.seen = server.requests.length
  got.server = server.requests[0]
  got.wire = wire
  wire.close()
  return got
}
const handshake = (path, extra = '', options = {}) => get(path, '', { data: request(path, { extra }), ...options })
const bearer = token => `Authorization: Bearer ${token}\r\n`
const claims = more => ({ iss: 'https://id.example.com', aud: 'api', sub: 'joe', exp: inSeconds(60), ...more })

test('tokens of every algorithm let a request and a handshake in, and their claims are told', async () => {
  for (const k of [rsa, ec]) {
    const token = k.token(claims({ realm: { roles: ['a', 'b'] } }))
    const one = await get('/jwt', bearer(token) + 'X-User: root\r\n')
    assert.deepEqual([one.status, one.server.fields['x-user'], one.server.fields['x-roles']], [200, 'joe', 'a,b'], k.alg)
    assert.equal((await handshake('/jwt/ws', bearer(token))).status, 101)
  }
  assert.equal((await get('/secret', `X-Token: ${secret.token({})}\r\n`)).status, 200)
  assert.equal((await get('/pem', bearer(rsa.token({})))).status, 200)
})
test('the tunnel behind a token is a relay like any other', async () => {
  const wire = await tunnel(turnout.port, '/jwt/tunnel', { extra: bearer(ec.token(claims())) })
  wire.send(frame('hello'))
  await wire.until('back')
  const { connections } = turnout.json('connections')
  assert.ok(connections.some(c => c.tier === 'copy'), JSON.stringify(connections))
  wire.close()
})
test('a token may be in a cookie, the query or a subprotocol', async () => {
  const token = rsa.token(claims({ aud: ['other', 'chat'] }))
  assert.equal((await get('/jwt', `Cookie: a=b; token=${token}\r\n`)).status, 200)
  assert.equal((await get(`/jwt?a=b&access_token=${token}`)).status, 200)
  const ws = new WebSocket(`ws://127.0.0.1:${turnout.port}/jwt`, ['chat', token])
  const error = await new Promise(resolve => ws.on('open', () => resolve(null)).on('error', resolve))
  assert.ok(!error || /subprotocol/.test(error.message), String(error)) // the server above chose none
  ws.terminate()
})
test('what is wrong with a token is 401, said to the client and logged, and no server is asked', async () => {
  const rows = [
    ['TOKEN_MISSING', ''],
    ['TOKEN_MISSING', 'Authorization: Basic am9lOnNlY3JldA==\r\n'],
    ['TOKEN_MALFORMED', bearer('nonsense')],
    ['TOKEN_MALFORMED', `Cookie: token=${ec.token(claims())}; token=${rsa.token(claims())}\r\n`],
    ['TOKEN_UNVERIFIED', bearer(other.token(claims()))],
    ['TOKEN_UNVERIFIED', bearer(ec.token(claims(), { kid: 'unknown' }))],
    ['TOKEN_UNVERIFIED', bearer(unsigned(claims()))],
    ['TOKEN_UNVERIFIED', bearer(secret.token(claims()))],
    ['TOKEN_UNVERIFIED', bearer(forged(rsa.pem, claims()))],
    ['TOKEN_UNVERIFIED', bearer(forged(JSON.stringify(rsa.jwk), claims(), { kid: 'r1' }))],
    ['TOKEN_EXPIRED', bearer(ec.token(claims({ exp: inSeconds(-6) })))],
    ['TOKEN_TOO_EARLY', bearer(ec.token(claims({ nbf: inSeconds(60) })))],
    ['TOKEN_FOREIGN', bearer(ec.token(claims({ aud: 'web' })))],
    ['TOKEN_FOREIGN', bearer(ec.token(claims({ iss: 'https://evil.example' })))]
  ]
  for (const [number, [reason, extra]] of rows.entries()) {
    for (const ask of [get, handshake]) {
      const where = `/jwt/wrong/${number}/${ask.name}`
      const got = await ask(where, extra)
      assert.deepEqual([got.status, got.seen], [401, 0], where)
      assert.match(got.fields['www-authenticate'], reason === 'TOKEN_MISSING' ? /^Bearer realm="turnout"$/ : /^Bearer .*error="invalid_token"/)
      const line = await turnout.event(e => e.event === 'refused' && e.path === where)
      assert.deepEqual([line.reason, line.status], [reason, 401], where)
    }
  }
  assert.equal((await get('/jwt', bearer(ec.token(claims({ exp: inSeconds(-3) }))))).status, 200) // within the leeway
  assert.equal((await get('/pem', bearer(forged(rsa.pem, {})))).status, 401)
})
test('a refused handshake keeps its connection, and what is pipelined behind it is judged by itself', async () => {
  server.requests.length = 0
  const wire = await Wire.connect(turnout.port)
  wire.send(request('/jwt/a') + plain('/jwt/b') + plain('/origin/c'))
  assert.deepEqual([(await wire.head()).status, server.requests.length], [401, 0])
  await wire.until('HTTP/1.1 401')
  await wire.until('HTTP/1.1 200')
  assert.deepEqual(server.requests.map(r => r.path), ['/origin/c'])
  wire.close()
})
test('auth: 2xx passes, and what it says goes to the server instead of what the client said', async () => {
  asked.length = 0
  const got = await get('/auth/a?word=yes', 'X-User: root\r\nX_User: root\r\nx-role: admin\r\nCookie: sid=1\r\nContent-Length: 4\r\n', { method: 'POST', data: plain('/auth/a?word=yes', 'X-User: root\r\nX_User: root\r\nx-role: admin\r\nCookie: sid=1\r\nContent-Length: 4\r\n', 'POST') + 'body' })
  assert.equal(got.status, 200)
  assert.deepEqual([got.server.fields['x-user'], got.server.fields.x_user, got.server.fields['x-secret']], ['joe', undefined, undefined])
  assert.match(got.server.head, /X-Role: a\r\nX-Role: b\r\n/)
  const { method, url, headers } = asked[0]
  assert.deepEqual([method, url, headers.host], ['GET', '/check?q', `127.0.0.1:${authPort}`])
  assert.deepEqual([headers['x-original-method'], headers['x-original-uri'], headers['x-forwarded-host'], headers['x-forwarded-for'], headers.cookie], ['POST', '/auth/a?word=yes', 'x', '127.0.0.1', 'sid=1'])
  assert.deepEqual([headers['content-length'], headers['x-secret']], [undefined, undefined])
})
test('however often a client says a name, the others are left out as well', async () => {
  const got = await get('/auth/many?word=yes', 'X-User: root\r\n'.repeat(80) + 'X-Level: admin\r\nX_Level: admin\r\n')
  assert.equal(got.status, 200)
  assert.deepEqual(server.requests.at(-1).head.match(/^x[-_](user|level): .*$/gim).map(line => line.replace(/: .*/, '')).sort(), ['X-Level', 'X-User'])
  assert.doesNotMatch(server.requests.at(-1).head, /admin|root/)
})
test('auth: a handshake is asked about as well', async () => {
  asked.length = 0
  assert.equal((await handshake('/auth/ws?word=yes')).status, 101)
  assert.deepEqual([asked[0].headers.upgrade, asked[0].headers['sec-websocket-key']], [undefined, undefined])
  assert.deepEqual([(await handshake('/auth/ws?word=no')).status, server.requests.length], [401, 0])
})
test('auth: no is told to the client as it was said', async () => {
  const no = await get('/auth/no?word=no')
  assert.deepEqual([no.status, no.fields['www-authenticate'], no.body, no.fields['x-user'], no.seen], [401, 'Basic realm="ours"', 'who are you?', undefined, 0])
  const forbidden = await get('/auth/no?word=forbidden')
  assert.deepEqual([forbidden.status, forbidden.fields['content-type'], forbidden.body], [403, 'application/json', '{"why":"no"}'])
  const login = await get('/auth/no?word=login')
  assert.deepEqual([login.status, login.fields.location, login.fields['set-cookie'], login.seen], [302, 'https://id.example.com/login', 'state=1', 0])
  const line = await turnout.event(e => e.path === '/auth/no?word=login')
  assert.deepEqual([line.reason, line.status], ['AUTH_DENIED', 302])
})
test('auth: without an answer the request is refused, or passes where it says so', async () => {
  for (const where of ['/auth/x?word=silent', '/auth/x?word=broken', '/dead/x']) {
    const got = await get(where)
    assert.deepEqual([got.status, got.seen], [503, 0], where)
    assert.ok(Number(got.fields['retry-after']) >= 1)
    assert.equal((await turnout.event(e => e.path === where)).reason, 'AUTH_FAILED')
  }
  for (const where of ['/auth/open?word=silent', '/auth/open?word=broken', '/dead/open']) {
    const got = await get(where, 'X-User: root\r\n')
    assert.deepEqual([got.status, got.server?.fields['x-user']], [200, undefined], where)
  }
  assert.equal((await get('/auth/open?word=no')).status, 401) // no is no
})
test('auth: a client that leaves takes its question with it', async () => {
  const waiting = () => turnout.json('connections').connections.filter(c => c.state === 'authorize').length
  const wire = await Wire.connect(turnout.port)
  wire.send(plain('/auth/y?word=silent'))
  await until(() => asked.some(r => r.headers['x-original-uri'] === '/auth/y?word=silent'))
  assert.equal(waiting(), 1)
  wire.reset()
  await until(() => waiting() === 0, 'it is forgotten')
  assert.equal((await turnout.event(e => e.path === '/auth/y?word=silent')).reason, 'CLIENT_LEFT')
})
test('origins: 403 before any server is touched', async () => {
  const rows = [
    [200, app], [200, 'https://a.b.example.org:8443'], [200, 'http://x'], [200, 'https://x'],
    [403, 'https://evil.example'], [403, 'http://app.example.com'], [403, app + ':444'], [403, 'https://a.example.org'],
    [403, app + '.evil.example'], [403, 'null'], [403, app + '/'], [403, '']
  ]
  for (const [status, origin] of rows) {
    const got = await get('/origin', `Origin: ${origin}\r\n`)
    assert.deepEqual([got.status, got.seen], [status, status === 200 ? 1 : 0], origin)
    const ws = await handshake('/origin', `Origin: ${origin}\r\n`)
    assert.deepEqual([ws.status, ws.seen], [status === 200 ? 101 : 403, status === 200 ? 1 : 0], origin)
  }
  assert.equal((await handshake('/origin')).status, 101) // no browser
  assert.equal((await get('/origin', `Origin: ${app}\r\nOrigin: https://evil.example\r\n`)).status, 403)
})
test('origins: ws refuses as a browser would see it, and connects from a page that is welcome', async () => {
  const ends = (url, options) => new Promise(resolve => {
    const ws = new WebSocket(url, options)
    ws.on('open', () => { ws.terminate(); resolve('open') }).on('unexpected-response', (_, res) => { ws.terminate(); resolve(res.statusCode) }).on('error', () => {})
  })
  assert.equal(await ends(`ws://127.0.0.1:${turnout.port}/origin`, { origin: app }), 'open')
  assert.equal(await ends(`ws://127.0.0.1:${turnout.port}/origin`, { origin: 'https://evil.example' }), 403)
})
test('addresses: by the client, as trusted proxies say it', async () => {
  assert.equal((await get('/nets')).status, 200)
  const denied = await get('/nets/a', '', { localAddress: '127.0.0.3' })
  assert.deepEqual([denied.status, denied.seen], [403, 0])
  assert.equal((await turnout.event(e => e.path === '/nets/a')).reason, 'ADDRESS_DENIED')
  assert.equal((await get('/nets', '', { host: '::1' })).status, 403)
  assert.equal((await get('/nets', 'X-Forwarded-For: 127.0.0.1\r\n', { localAddress: '127.0.0.3' })).status, 403) // nobody's word
  assert.equal((await get('/nets', 'X-Forwarded-For: 127.0.0.1, 8.8.8.8\r\n', { localAddress: '127.0.0.2' })).status, 403)
  assert.equal((await get('/nets', 'X-Forwarded-For: 8.8.8.8, 2001:db8::7\r\n', { localAddress: '127.0.0.2' })).status, 200)
})
test('all that is asked for is asked, the cheap first', async () => {
  asked.length = 0
  assert.equal((await get('/both', `Origin: https://evil.example\r\n${bearer(secret.token({}))}`)).status, 403)
  assert.equal((await get('/both', `Origin: ${app}\r\n`)).status, 401)
  assert.equal(asked.length, 0)
  assert.equal((await get('/both', `Origin: ${app}\r\n${bearer(secret.token({}))}X-Word: yes\r\n`)).status, 200)
  assert.equal(asked.length, 1)
})
test('a route that answers by itself is guarded, too', async () => {
  assert.equal((await get('/respond')).body, 'hello')
  assert.equal((await get('/respond', 'Origin: https://evil.example\r\n')).status, 403)
})
test('explain says what access would do', () => {
  const explain = (...words) => spawnSync(binary, ['explain', turnout.file, ...words], { encoding: 'utf8' })
  const refused = explain('http://x/jwt')
  assert.equal(refused.status, 1)
  assert.match(refused.stdout, /access {5}of a client at 127\.0\.0\.1 .*: refused\nanswer {5}401: .*TOKEN_MISSING/)
  const good = explain('ws://x/jwt', '--header', `Authorization: Bearer ${ec.token(claims())}`)
  assert.equal(good.status, 0, good.stdout + good.stderr)
  assert.match(good.stdout, /passes\n +the token is good; sub is "joe"/)
  assert.match(explain('http://x/nets', '--from', '10.0.0.1').stdout, /403: .*ADDRESS_DENIED/)
  assert.match(explain('http://x/auth').stdout, /auth {7}http:\/\/127\.0\.0\.1:\d+\/check\?q is asked, then; its X-User, X-Role go to the server; without an answer it is refused with 503/)
})
test('keys are read again at a reload, and broken ones keep the old', async () => {
  const fresh = key('ES256', 'e2')
  const file = path.join(turnout.dir, 'jwks.json')
  assert.equal((await get('/jwt', bearer(fresh.token(claims())))).status, 401)
  writeFileSync(file, JSON.stringify({ keys: [fresh.jwk] }))
  assert.equal(turnout.command('reload').code, 0)
  assert.equal((await get('/jwt', bearer(fresh.token(claims())))).status, 200)
  assert.equal((await get('/jwt', bearer(ec.token(claims())))).status, 401)
  writeFileSync(file, '{"keys": [')
  const refused = turnout.command('reload')
  assert.notEqual(refused.code, 0)
  assert.match(refused.err + refused.out, /access\.jwt\.keys: no JSON/)
  assert.equal((await get('/jwt', bearer(fresh.token(claims())))).status, 200)
  const check = spawnSync(binary, ['check', turnout.file], { encoding: 'utf8' })
  assert.equal(check.status, 1)
  assert.match(check.stderr, /turnout\.yaml:\d+:\d+: error: access\.jwt\.keys: no JSON[\s\S]*keys: \{ file: jwks\.json \}/)
})
test('every example of access.md is loaded, and means the same when it is shown', () => {
  const words = readFileSync(new URL('../../docs/access.md', import.meta.url), 'utf8')
  const examples = [...words.matchAll(/^```yaml\n(.*?)^```$/gms)].map(m => m[1])
  assert.equal(examples.length, 4)
  writeFileSync(path.join(turnout.dir, 'jwks.json'), JSON.stringify({ keys: [ec.jwk] }))
  for (const example of examples) {
    const file = path.join(turnout.dir, 'example.yaml')
    writeFileSync(file, example)
    const shown = spawnSync(binary, ['check', '--show', file], { encoding: 'utf8' })
    assert.equal(shown.status, 0, shown.stderr + example)
    if (example.includes('jwt')) { assert.match(shown.stdout, /jwt: \{ keys: "\*\*\*"/); continue }
    writeFileSync(file, shown.stdout)
    assert.equal(spawnSync(binary, ['check', '--show', file], { encoding: 'utf8' }).stdout, shown.stdout)
  }
})
test('10^3 refused handshakes leave nothing behind', { skip: isSanitized && 'allocators of sanitizers keep memory' }, async () => {
  const round = async () => { for (let i = 0; i < 500; i++) await handshake('/origin', 'Origin: https://evil.example\r\n') }
  await round()
  const first = turnout.memory('VmRSS')
  await round()
  assert.ok(turnout.memory('VmRSS') - first < 1024, `${first} kB, then ${turnout.memory('VmRSS')} kB`)
})
