// What routes do, seen from both ends: Express and ws behind, requests and handshakes in front.
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import os from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import express from 'express'
import WebSocket, { WebSocketServer } from 'ws'
import { Backend, Wire, answer, plain } from './lib/raw.mjs'
import { Turnout, binary, freePort } from './lib/turnout.mjs'

const docs = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../docs')
const listen = server => new Promise(resolve => server.listen(0, '127.0.0.1', () => resolve(`127.0.0.1:${server.address().port}`)))

// An Express application and a ws server on one port; what a handshake asked is its first message.
async function start (name) {
  const app = express()
  app.use((req, res) => res.set('X-Powered-By', 'Express').set('X-Name', name).status(req.path === '/missing' ? 404 : 200)
    .json({ name, url: req.url, path: req.path, query: req.query, headers: req.headers, raw: req.rawHeaders }))
  const server = http.createServer(app)
  const sockets = new WebSocketServer({ server })
  sockets.on('headers', headers => headers.push('X-From: server', 'X-Secret: of the server'))
  sockets.on('connection', (socket, req) => {
    socket.send(JSON.stringify({ name, url: req.url, headers: req.headers }))
    socket.on('message', data => socket.send(data.toString()))
  })
  return { name, server, address: await listen(server), stop () { sockets.close(); server.closeAllConnections(); return new Promise(resolve => server.close(resolve)) } }
}

let web, canary, t
const config = shares => t => `error_pages: { 404: lost.html, 502: "${t.dir}/down.json" }
listeners: [ { listen: 127.0.0.1:${t.port} } ]
trusted_proxies: [ 127.0.0.2 ]
pools:
  web: { servers: [ ${web.address} ] }
  canary: { servers: [ ${canary.address} ] }
  down: { servers: [ 127.0.0.1:1 ] }
routes:
  - { match: { host: beta, methods: [ GET ], headers: { X-Beta: "1" } }, pool: canary }
  - { match: { host: beta, headers: { X-Off: true } }, respond: { status: 204 } }
  - { match: { host: split }, pools: [ { pool: web, weight: 95 }, { pool: canary, weight: 5 } ] }
  - { match: { host: shares }, pools: [ ${shares} ] }
  - { match: { host: strip, prefix: /v1 }, pool: web, strip_prefix: /v1 }
  - match: { host: heads, path: "/rooms/{room}" }
    pool: web
    headers:
      request:
        set: { X-Room: "{path.room}", X-Claim: "{header.X-None}", X-Forwarded-Proto: made, X-Who: "{client} {scheme} {route} {header.X-In}" }
        add: { X-More: "1" }
        remove: [ X-Debug, Sec-WebSocket-Extensions, X-Forwarded-Host ]
      response: { set: { X-Name: "{server}", Server: "t{{}}" }, add: { X-Route: "{route}/{pool}{query}" }, remove: [ X-Powered-By, X-Secret ] }
  - { match: { path: /ping }, respond: { status: 201, headers: { X-Path: "{path}{query}" }, body: "pong {}" }, headers: { response: { add: { X-Also: here } } } }
  - { match: { host: plain, scheme: http }, redirect: { to: "https://{host}{path}{query}", status: 308 } }
  - { match: { host: plain }, pool: web }
  - { match: { host: rel }, redirect: { to: "{path}" } }
  - { match: { host: tows, path: /chat }, redirect: { to: "/moved{path}" } }
  - { match: { prefix: /moved }, pool: web, strip_prefix: /moved }
  - { match: { host: down }, pool: down }
  - { match: { host: x }, pool: web }
`
const usual = '{ pool: web, weight: 1 }, { pool: canary, weight: 0 }'
before(async () => {
  web = await start('web')
  canary = await start('canary')
  t = await Turnout.start(t => {
    writeFileSync(path.join(t.dir, 'lost.html'), '<h1>lost</h1>\n')
    writeFileSync(path.join(t.dir, 'down.json'), `{"sorry": "${'x'.repeat(60000)}"}`)
    return config(usual)(t)
  })
})
after(async () => { await t.stop(); await web.stop(); await canary.stop() })

const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
after(() => agent.destroy())
function ask (host, target, { headers = {}, method = 'GET', body, localAddress } = {}) {
  return new Promise((resolve, reject) => {
    const req = http.request({ port: t.port, host: '127.0.0.1', path: target, method, agent: localAddress ? undefined : agent, localAddress, headers: { Host: host, ...headers } }, res => {
      let text = ''
      res.setEncoding('utf8').on('data', data => { text += data }).on('end', () => resolve({ status: res.statusCode, headers: res.headers, text, get json () { return JSON.parse(text) } }))
    })
    req.on('error', reject).end(body)
  })
}
// The first message of a tunnel and the 101's fields; or the answer that came instead.
function shake (host, target, options = {}) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://127.0.0.1:${t.port}${target}`, { ...options, headers: { Host: host, ...options.headers } })
    let head
    socket.on('upgrade', res => { head = res })
    socket.on('unexpected-response', (req, res) => { res.resume(); resolve({ status: res.statusCode, headers: res.headers }) })
    socket.on('message', data => { resolve({ status: 101, headers: head.headers, extensions: socket.extensions, url: socket.url, json: JSON.parse(data) }); socket.close() })
    socket.on('error', reject)
  })
}
async function raw (head) {
  const wire = await Wire.connect(t.port)
  wire.send(head)
  const got = await wire.head()
  wire.close()
  return got
}

test('methods and fields decide, HEAD with GET', async () => {
  assert.equal((await ask('beta', '/', { headers: { 'X-Beta': '1' } })).json.name, 'canary')
  assert.equal((await ask('beta', '/', { headers: { 'X-Beta': '1' }, method: 'HEAD' })).headers['x-name'], 'canary')
  assert.equal((await ask('beta', '/', { headers: { 'X-Beta': '1' }, method: 'POST' })).status, 404)
  assert.equal((await ask('beta', '/', { headers: { 'X-Beta': '2' } })).status, 404)
  assert.equal((await ask('beta', '/', { headers: { 'X-Off': '' } })).status, 204)
  assert.equal((await shake('beta', '/', { headers: { 'X-Beta': '1' } })).json.name, 'canary')
})
test('of 1,000 requests 50 go to the canary, give or take one per worker', async () => {
  const names = []
  for (let i = 0; i < 1000; i++) names.push((await ask('split', '/')).json.name)
  const count = names.filter(name => name === 'canary').length
  assert.ok(Math.abs(count - 50) <= 2, `${count} of 1,000`)
  const at = names.flatMap((name, i) => name === 'canary' ? [i] : [])
  assert.ok(at.every((place, i) => i === 0 || place - at[i - 1] === 20), `they lie evenly: ${at}`) // one connection, so one worker
})
test('handshakes are counted the same way, over all workers', async () => {
  let count = 0
  for (let i = 0; i < 200; i++) count += (await shake('split', '/')).json.name === 'canary'
  assert.ok(Math.abs(count - 10) <= 2, `${count} of 200`)
})
test('strip_prefix: what a server is asked', async () => {
  for (const [asked, wanted] of [['/v1/x?a=/v1', '/x?a=/v1'], ['/v1', '/'], ['/v1?q', '/?q'], ['/v1/', '/'], ['/%76%31/a%2Fb', '/a%2Fb'], ['/v1//evil.com/', '/evil.com/'], ['/a/../v1/x', '/x']]) {
    assert.equal((await ask('strip', asked)).json.url, wanted, asked)
    assert.equal((await shake('strip', asked)).json.url, asked === '/a/../v1/x' ? '/x' : wanted, asked)
  }
  assert.equal((await ask('strip', '/v12')).status, 404)
})
test('fields of requests: set, added, removed; what is not known is not written, and cannot be forged', async () => {
  const { json } = await ask('heads', '/rooms/blue%20sky', { headers: { 'X-Claim': 'root', X_Room: 'forged', x_claim: 'root', 'X-Room': 'forged', 'X-Debug': '1', 'X-More': '0', 'X-In': 'b' } })
  assert.equal(json.headers['x-room'], 'blue sky')
  assert.equal(json.headers['x-claim'], undefined)
  assert.deepEqual([json.headers.x_room, json.headers.x_claim], [undefined, undefined]) // what a CGI would read as the same
  assert.equal(json.headers['x-debug'], undefined)
  assert.equal(json.headers['x-more'], '0, 1')
  assert.equal(json.headers['x-who'], '127.0.0.1 http 6 b')
  assert.equal(json.headers['x-forwarded-proto'], 'made')
  assert.equal(json.headers['x-forwarded-host'], undefined)
  assert.equal(json.raw.filter(name => name.toLowerCase() === 'x-forwarded-proto').length, 1)
  assert.equal((await ask('heads', '/rooms/a%0D%0AX-Admin:%201')).json.headers['x-room'], undefined)
})
test('fields of answers: of requests, of errors of the server, of HEAD', async () => {
  for (const method of ['GET', 'HEAD']) {
    const { headers } = await ask('heads', '/rooms/a?b', { method })
    assert.equal(headers['x-name'], web.address)
    assert.equal(headers.server, 't{}')
    assert.equal(headers['x-route'], '6/web?b')
    assert.equal(headers['x-powered-by'], undefined)
  }
})
test('a handshake, and its 101, are changed the same way', async () => {
  const got = await shake('heads', '/rooms/7', { headers: { 'X-Debug': '1', 'X-Room': 'forged' }, perMessageDeflate: true })
  assert.equal(got.json.headers['x-room'], '7')
  assert.equal(got.json.headers['x-debug'], undefined)
  assert.equal(got.json.headers['sec-websocket-extensions'], undefined)
  assert.equal(got.extensions, '')
  assert.equal(got.headers['x-name'], web.address)
  assert.equal(got.headers['x-from'], 'server')
  assert.equal(got.headers['x-secret'], undefined)
})
test('respond: to requests, HEAD, handshakes, and on the same connection', async () => {
  const got = await ask('anything', '/ping?a=b')
  assert.deepEqual([got.status, got.text, got.headers['content-type'], got.headers['x-path'], got.headers['x-also']], [201, 'pong {}', 'text/plain; charset=utf-8', '/ping?a=b', 'here'])
  assert.deepEqual(await ask('anything', '/ping', { method: 'HEAD' }).then(r => [r.status, r.text, r.headers['content-length']]), [201, '', '7'])
  assert.equal((await ask('anything', '/ping', { method: 'POST', body: 'x'.repeat(100000) })).status, 201)
  assert.equal((await shake('anything', '/ping')).status, 201)
  const wire = await Wire.connect(t.port)
  wire.send(plain('/ping') + plain('/ping') + plain('/after'))
  for (let i = 0; i < 2; i++) assert.equal((await wire.take(Number((await wire.head()).fields['content-length']))).toString(), 'pong {}')
  assert.equal((await wire.head()).status, 200)
  wire.close()
  assert.equal((await t.event(e => e.path === '/ping?a=b' && e.event === 'request')).status, 201)
})
test('redirect: to https where the client came without, by our own TLS or a trusted word', async () => {
  const got = await ask('plain:8080', '/a%20b/?q=1&r=//x')
  assert.deepEqual([got.status, got.headers.location, got.text], [308, 'https://plain/a%20b/?q=1&r=//x', ''])
  assert.equal((await ask('plain', '/', { headers: { 'X-Forwarded-Proto': 'https' } })).status, 308) // who is that?
  assert.equal((await ask('plain', '/', { headers: { 'X-Forwarded-Proto': 'https' }, localAddress: '127.0.0.2' })).json.name, 'web')
  assert.equal((await shake('plain', '/chat')).headers.location, 'https://plain/chat')
})
test('redirect: nothing that is asked leads elsewhere or begins a line', async () => {
  for (const [asked, wanted] of [['//evil.com', '/evil.com'], ['///evil.com/%2e%2e', '/evil.com/%2e%2e'], ['/\\evil.com', '/%5Cevil.com'], ['/%0d%0aSet-Cookie:a', '/%0d%0aSet-Cookie:a'], ['/"<>', '/%22%3C%3E']]) {
    const got = await raw(`GET ${asked} HTTP/1.1\r\nHost: rel\r\n\r\n`)
    assert.deepEqual([got.status, got.fields.location, got.fields['set-cookie']], [307, wanted, undefined], asked)
  }
  assert.equal((await raw('GET //evil.com/x HTTP/1.0\r\nHost: rel\r\n\r\n')).fields.location, '/evil.com/x')
  const bare = await Wire.connect(t.port)
  bare.send('GET http://plain/x HTTP/1.0\r\n\r\n')
  assert.equal((await bare.head()).fields.location, 'https://plain/x')
  bare.close()
})
test('a client that follows a redirect of its handshake is relayed', async () => {
  const got = await shake('tows', '/chat', { followRedirects: true })
  assert.deepEqual([got.status, got.json.url], [101, '/chat'])
})
test('error pages are for our own errors alone', async () => {
  const lost = await ask('nowhere', '/')
  assert.deepEqual([lost.status, lost.headers['content-type'], lost.text], [404, 'text/html; charset=utf-8', '<h1>lost</h1>\n'])
  assert.equal((await ask('x', '/missing')).json.path, '/missing')
  const down = await ask('down', '/')
  assert.deepEqual([down.status, down.headers['content-type'], down.json.sorry.length], [502, 'application/json', 60000])
  assert.equal((await ask('nowhere', '/', { method: 'HEAD' })).headers['content-length'], '14')
  assert.equal((await shake('nowhere', '/')).headers['content-type'], 'text/html; charset=utf-8')
  assert.match((await raw('GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n')).fields['content-type'], /text\/plain/)
})
test('a reload changes what routes do, and error pages with it', async () => {
  for (let i = 0; i < 10; i++) assert.equal((await ask('shares', '/')).json.name, 'web')
  writeFileSync(path.join(t.dir, 'lost.html'), 'new')
  t.write(config('{ pool: web, weight: 1 }, { pool: canary, weight: 1 }'))
  assert.equal(t.command('reload').code, 0)
  const names = []
  for (let i = 0; i < 10; i++) names.push((await ask('shares', '/')).json.name)
  assert.equal(names.filter(name => name === 'web').length, 5)
  assert.equal((await ask('nowhere', '/')).text, 'new')
  t.write(t => config(usual)(t).replace('scheme: http }, redirect: { to: "https://{host}', 'scheme: http }, redirect: { to: "//{host}'))
  const refused = t.command('reload')
  assert.equal(refused.code, 1)
  assert.match(refused.err + refused.out, /to: "\/\/\{host\}\{path\}\{query\}" must begin with/)
  assert.equal((await ask('plain', '/')).status, 308)
  t.write(config(usual))
  assert.equal(t.command('reload').code, 0)
})
test('admin says what routes do', async () => {
  const text = await new Promise((resolve, reject) => http.get({ socketPath: t.admin.slice(5), path: '/api/v1/routes' }, res => {
    let all = ''
    res.on('data', data => { all += data }).on('end', () => resolve(all))
  }).on('error', reject))
  const { routes } = JSON.parse(text)
  assert.deepEqual(routes[2].weights, { web: 95, canary: 5 })
  assert.deepEqual([routes[1].action, routes[1].status, routes[1].pool], ['respond', 204, undefined])
})

// --- from the command line

const dir = mkdtempSync(path.join(os.tmpdir(), 'turnout-routes-'))
after(() => rmSync(dir, { recursive: true }))
const run = (...words) => { const d = spawnSync(binary, words, { encoding: 'utf8', env: { ...process.env, API_KEY: 'k' } }); return { code: d.status, out: d.stdout, err: d.stderr } }
const file = (name, text) => { const p = path.join(dir, name); writeFileSync(p, text); return p }

test('every example of routing.md is loaded, and means the same when it is shown', () => {
  for (const name of ['lost.html', 'busy.html']) file(name, name)
  const examples = [...readFileSync(path.join(docs, 'routing.md'), 'utf8').matchAll(/^```yaml\n(.*?)^```$/gms)].map(m => m[1])
  assert.ok(examples.length >= 4)
  for (const [i, text] of examples.entries()) {
    const done = run('check', file(`example-${i}.yaml`, text))
    assert.equal(done.code, 0, `${text}\n${done.err}`)
    const shown = run('check', '--show', path.join(dir, `example-${i}.yaml`)).out.replaceAll('"***"', 'k')
    assert.equal(run('check', '--show', file('shown.yaml', shown)).out.replaceAll('"***"', 'k').replaceAll('"k"', 'k'), shown.replaceAll('"k"', 'k'))
  }
})
// Of issue 4, as it stands there: these names are a contract.
const contract = `
listeners:
  - { listen: 127.0.0.1:7000, tcp: raw }                     # a pool; no HTTP here
  - { listen: 127.0.0.1:8081, proxy_protocol: required }     # or optional; only trusted_proxies may speak it
pools:
  raw: { servers: [ 127.0.0.1:5432 ], proxy_protocol: v2 }   # v1, v2: said to the servers
  web: { servers: [ 127.0.0.1:9001 ], keepalive: { idle: 60s, max: 100 } }   # per worker
routes:
  - match: { host: api.example.com, prefix: /v1, methods: [GET, POST], headers: { X-Beta: "1" } }
    pools: [ { pool: web, weight: 95 }, { pool: canary, weight: 5 } ]
    strip_prefix: /v1
    headers: { request: { set: { X-User: "{jwt.sub}" }, remove: [ X-Debug ] }, response: { add: { X-Served-By: "{server}" } } }
    access:
      allow: [ 10.0.0.0/8, "2001:db8::/32" ]                 # or deny
      origins: [ "https://app.example.com" ]
      jwt: { keys: { file: jwks.json }, issuer: "https://id.example.com", audience: api, leeway: 30s, from: [ header.Authorization, cookie.token, query.access_token, subprotocol ] }
      auth: { url: "http://127.0.0.1:7100/check", copy: [ X-User ], timeout: 1s, fail: closed }
    rate: { connections: 50, handshakes: 10/s, requests: 100/s }   # per client address
  - match: { path: /ping }
    respond: { status: 200, headers: { Content-Type: text/plain }, body: pong }
  - match: { host: old.example.com }
    redirect: { to: "https://api.example.com{path}", status: 308 }
error_pages: { 503: busy.html }
`
test('the whole of what was promised is read, and explained', () => {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  file('jwks.json', JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: '1', alg: 'ES256' }] }))
  file('busy.html', 'busy')
  // what the issue leaves out, being an excerpt: the pool `canary`, and whom the PROXY listener trusts
  const whole = file('contract.yaml', 'trusted_proxies: [ 10.0.0.0/8 ]\n' + contract.replace('pools:\n', 'pools:\n  canary: { servers: [ 127.0.0.1:9002 ] }\n'))
  assert.deepEqual(run('check', whole), { code: 0, out: `${whole}: ok: 2 listeners, 3 pools, 3 routes, 3 servers\n`, err: '' })
  assert.match(run('explain', whole, 'http://api.example.com:8081/v1/x', '--header', 'X-Beta: 1').out, /X-Beta: 1  <- the first that matches[\s\S]*ADDRESS_DENIED/)
  assert.match(run('explain', whole, 'http://old.example.com:8081/a').out, /308[\s\S]*Location: https:\/\/api.example.com\/a/)
})
test('explain says which action, which pools, what is asked and what is changed', () => {
  const yaml = file('explain.yaml', `listeners: [ { listen: 127.0.0.1:8080 } ]
pools: { web: { servers: [ 127.0.0.1:9001 ] }, canary: { servers: [ 127.0.0.1:9002 ] } }
routes:
  - { match: { scheme: https }, pool: web }
  - match: { prefix: /v1, methods: [ POST ] }
    pools: [ { pool: web, weight: 95 }, { pool: canary, weight: 5 } ]
    strip_prefix: /v1
    headers: { request: { set: { X-User: a } }, response: { remove: [ Server ] } }
  - { match: { headers: { X-A: "1" } }, respond: { status: 204 } }
  - redirect: { to: "https://{host}{path}{query}" }
`)
  const post = run('explain', yaml, 'http://x:8080/v1/a?b', '--method', 'POST')
  assert.equal(post.code, 0)
  for (const wanted of [/scheme https: no, the scheme is another/, /2 \(line 5\): prefix \/v1, POST {2}<-/, /path +\/a \(behind strip_prefix\)/, /pools +web, 95 of 100/, /canary, 5 of 100/, /fields +request: set X-User/, /answer: remove Server/, /canary\/127\.0\.0\.1:9002/])
    assert.match(post.out, wanted)
  const get = run('explain', yaml, 'http://x:8080/v1/a?b')
  assert.equal(get.code, 0)
  for (const wanted of [/prefix \/v1, POST: no, the method is another/, /field X-A: 1: no, the fields are others/, /answer +307, by the route itself/, /Location: https:\/\/x\/v1\/a\?b/]) assert.match(get.out, wanted)
  assert.match(run('explain', yaml, 'ws://x:8080/', '--header', 'X-A: 1').out, /answer +204/)
  assert.equal(run('explain', yaml, 'http://x:8080/', '--method', 'a b').code, 2)
})
test('what is wrong is said with its place and what to write', () => {
  const bad = file('bad.yaml', `listeners: [ { listen: 127.0.0.1:8080 } ]
pools: { web: { servers: [ 127.0.0.1:9001 ] } }
routes:
  - match: { path: /a }
    pool: web
    headers: { request: { set: { Host: x, X-A: "{sub}", Content-Length: "1" } } }
  - match: { path: /b }
    redirect: { to: "https://{header.To}/" }
  - match: { path: /c }
    pool: web
    strip_prefix: c
  - { match: { path: /d }, respond: { status: 204, body: x } }
`)
  const { code, err } = run('check', bad)
  assert.equal(code, 1)
  for (const wanted of [/:6:34: error: Host is what the client asked for/, /:6:43: error: X-A: there is no \{sub\}/, /:6:57: error: Content-Length says how long/, /:8:21: error: to: of what a request says only \{host\}/, /:11:19: error: strip_prefix: "c" must begin with a slash/, /:12:3\d: error: 204 has no body/, /6 errors/]) assert.match(err, wanted)
  const page = text => run('check', file('page.yaml', `error_pages: ${text}\nlisteners: [ { listen: 127.0.0.1:8080 } ]\npools: { web: { servers: [ 127.0.0.1:9001 ] } }\n`))
  file('big.html', 'x'.repeat(65537))
  file('page.png', '')
  assert.match(page('{ 503: none.html }').err, /:1:21: error: cannot read this error page: No such file/)
  assert.match(page('{ 503: big.html }').err, /too large: 65537 bytes/)
  assert.match(page('{ 503: page.png }').err, /name it \.html/)
  assert.match(page('{ 200: lost.html }').err, /"200" is no status that turnout itself answers with/)
})
test('a server whose answer head is as large as allowed is answered 502 when more is added', async () => {
  const server = await Backend.start(async wire => { wire.send(answer(200, 'ok', `A: ${'a'.repeat(900)}\r\n`)) })
  const big = await Turnout.start(t => `listeners: [ { listen: 127.0.0.1:${t.port} } ]
limits: { response_head: 1k, request_head: 1k }
pools: { web: { servers: [ ${server.address} ] } }
routes: [ { match: { path: /big }, pool: web, headers: { response: { add: { A: "${'b'.repeat(4000)}", B: "${'c'.repeat(4000)}" } } } }, { pool: web } ]
`)
  const wire = await Wire.connect(big.port)
  wire.send(plain('/big'))
  assert.equal((await wire.head()).status, 502)
  wire.close()
  await big.stop()
  await server.stop()
})
test('http leads to https, and https to the server', async () => {
  const [port, key, crt] = [await freePort(), path.join(dir, 'k.pem'), path.join(dir, 'c.pem')]
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30', '-subj', '/CN=localhost', '-keyout', key, '-out', crt], { stdio: 'ignore' })
  const both = await Turnout.start(t => `listeners:
  - { listen: 127.0.0.1:${t.port} }
  - { listen: 127.0.0.1:${port}, tls: { mode: terminate, certificates: [ { cert: ${crt}, key: ${key} } ] } }
pools: { web: { servers: [ ${web.address} ] } }
routes: [ { match: { scheme: http }, redirect: { to: "https://{host}:${port}{path}{query}", status: 301 } }, { pool: web } ]
`)
  const first = await Wire.connect(both.port)
  first.send(plain('/a?b').replace('Host: x', `Host: localhost:${both.port}`))
  const { status, fields } = await first.head()
  assert.deepEqual([status, fields.location], [301, `https://localhost:${port}/a?b`])
  first.close()
  const second = await Wire.connectTls(port, { servername: 'localhost' })
  second.send(plain('/a?b'))
  assert.equal((await second.head()).fields['x-name'], 'web')
  second.close()
  const got = await new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://localhost:${both.port}/chat?x`, { followRedirects: true, rejectUnauthorized: false })
    socket.on('message', data => { resolve(JSON.parse(data).url); socket.close() }).on('error', reject)
  })
  assert.equal(got, '/chat?x')
  await both.stop()
})
test('a passthrough listener splits by weight too, and skips routes that answer', () => {
  const yaml = file('sni.yaml', `listeners: [ { listen: 127.0.0.1:9443, tls: { mode: passthrough } } ]
pools: { a: { servers: [ 127.0.0.1:9001 ] }, b: { servers: [ 127.0.0.1:9002 ] } }
routes:
  - { match: { host: x, methods: [ GET ] }, pool: a }
  - { match: { host: x, scheme: http }, respond: {} }
  - { match: { host: x }, pools: [ { pool: a, weight: 3 }, { pool: b, weight: 1 } ] }
`)
  assert.match(run('explain', yaml, 'https://x:9443/').out, /route +3: by server name[\s\S]*a, 3 of 4/)
})
