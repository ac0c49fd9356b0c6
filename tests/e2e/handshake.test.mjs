// The handshake on the wire: every row is one thing that balancers get wrong, with raw sockets on both sides.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Backend, Wire, acceptFor, answer, frame, key, plain, request, switching, tunnel } from './lib/raw.mjs'
import { Turnout, freePort, simple, until } from './lib/turnout.mjs'

let turnout, backend

const answers = {
  '/ok': switching(),
  '/glued': switching() + 'GLUED-DATA',
  '/403': answer(403, 'forbidden', 'X-Why: nope\r\n'),
  '/426': answer(426, '426', 'Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n'),
  '/200up': answer(200, 'ok', 'Upgrade: websocket\r\nConnection: Upgrade\r\n'),
  '/badaccept': switching('x'),
  '/noaccept': 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
  '/noupgrade': `HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: ${acceptFor(key)}\r\n\r\n`,
  '/length0': switching(key, 'Content-Length: 0\r\n'),
  '/chunked': switching(key, 'Transfer-Encoding: chunked\r\n'),
  '/protocol': switching(key, 'Sec-WebSocket-Protocol: b\r\nSec-WebSocket-Extensions: permessage-deflate; x=1\r\nSet-Cookie: s=1\r\n'),
  '/garbage': 'this is no HTTP\r\n\r\n',
  '/midhead': 'HTTP/1.1 101 Switching'
}

before(async () => {
  backend = await Backend.start(async (wire, { path }) => {
    if (path === '/leave') { wire.close(); return 'tunnel' }
    if (path === '/midhead') { wire.send(answers[path]); wire.end(); return 'tunnel' }
    wire.send(answers[path] ?? answer(200, 'hi'))
    if (!answers[path]?.startsWith('HTTP/1.1 101')) return
    wire.socket.on('data', data => wire.send(Buffer.concat([Buffer.from('E:'), data])))
    if (wire.got.length) wire.send(Buffer.concat([Buffer.from('E:'), wire.got]))
    return 'tunnel'
  })
  turnout = await Turnout.start(simple(backend))
})
after(async () => { await turnout.stop(); await backend.stop() })

async function ask (first, ...more) {
  backend.requests.length = 0
  const wire = await Wire.connect(turnout.port)
  wire.send(first)
  for (const next of more) wire.send(next)
  return wire
}
const last = () => backend.requests.at(-1)

async function tunnels (text) {
  const wire = await ask(text)
  const head = await wire.head()
  assert.equal(head.status, 101)
  wire.send('hello')
  await wire.until('E:hello')
  wire.close()
  return head
}

async function refuses (text, status) {
  const wire = await ask(text)
  const head = await wire.head()
  assert.equal(head.status, status)
  if (head.fields.connection === 'close') {
    assert.equal(await wire.closed(), 'FIN')
  } else { // still HTTP: the next request is answered, nothing is relayed
    await wire.take(Number(head.fields['content-length']))
    wire.send(plain('/after'))
    assert.equal((await wire.head()).status, 200)
  }
  assert.ok(!wire.text.includes('E:'), 'no tunnel may stand')
  wire.close()
  return head
}

test('a plain good handshake', () => tunnels(request('/ok')))
test('early data behind the request is held, then delivered', async () => {
  const wire = await ask(request('/ok') + 'EARLY')
  assert.equal((await wire.head()).status, 101)
  await wire.until('E:EARLY')
  wire.close()
})
test('server data glued to the 101 is delivered', async () => {
  const wire = await ask(request('/glued'))
  assert.equal((await wire.head()).status, 101)
  await wire.until('GLUED-DATA')
  wire.close()
})
test('a 403 passes with its body, and both connections serve on', async () => {
  const wire = await ask(request('/403'))
  const head = await wire.head()
  assert.equal(head.status, 403)
  assert.equal(head.fields['x-why'], 'nope')
  assert.equal((await wire.take(9)).toString(), 'forbidden')
  const number = last().connection
  wire.send(plain('/again'))
  assert.equal((await wire.head()).status, 200)
  assert.equal(last().connection, number, 'the server\'s connection was kept')
  wire.close()
})
test('a request behind a refused upgrade is a request under the routes', async () => {
  const wire = await ask(request('/426', { version: '777' }) + plain('/admin'))
  assert.equal((await wire.head()).status, 426)
  await wire.take(3)
  assert.equal((await wire.head()).status, 200)
  assert.deepEqual(backend.requests.map(r => r.path), ['/426', '/admin'])
  wire.close()
})
test('200 with Upgrade is no tunnel, and loses the field', async () => {
  const wire = await ask(request('/200up'))
  const head = await wire.head()
  assert.equal(head.status, 200)
  assert.equal(head.fields.upgrade, undefined)
  assert.equal((await wire.take(2)).toString(), 'ok')
  wire.send(plain('/x'))
  assert.equal((await wire.head()).status, 200)
  wire.close()
})
test('a 101 that nobody asked for is 502', () => refuses(plain('/ok'), 502))
test('a 101 without Upgrade is 502', () => refuses(request('/noupgrade'), 502))
test('a 101 without Accept is 502', () => refuses(request('/noaccept'), 502))
test('a 101 with a wrong Accept is 502', () => refuses(request('/badaccept'), 502))
test('an answer that is no HTTP is 502', () => refuses(request('/garbage'), 502))
test('a server that leaves instead of answering is 502', () => refuses(request('/leave'), 502))
test('a server that leaves in the middle of its head is 502', () => refuses(request('/midhead'), 502))
test('versions other than 13 are the server\'s to judge', async () => {
  const wire = await ask(request('/426', { version: '7' }))
  assert.equal((await wire.head()).status, 426)
  assert.equal(last().fields['sec-websocket-version'], '7')
  wire.close()
})
test('no key is 400', () => refuses(request('/ok', { withKey: false }), 400))
test('a malformed key is 400', () => refuses(request('/ok', { withKey: false, extra: 'Sec-WebSocket-Key: short\r\n' }), 400))
test('Content-Length 5 in a handshake is 400', () => refuses(request('/ok', { extra: 'Content-Length: 5\r\n' }) + 'hello', 400))
test('a chunked handshake is 400', () => refuses(request('/ok', { extra: 'Transfer-Encoding: chunked\r\n' }) + '0\r\n\r\n', 400))
test('Content-Length 0 in a handshake is accepted and not forwarded', async () => {
  await tunnels(request('/ok', { extra: 'Content-Length: 0\r\n' }))
  assert.equal(last().fields['content-length'], undefined)
})
test('POST with Upgrade is 400', () => refuses(request('/ok', { method: 'POST', extra: 'Content-Length: 0\r\n' }), 400))
test('HTTP/1.0 with Upgrade is a plain request', async () => {
  const wire = await ask(request('/plain', { http: 'HTTP/1.0' }))
  assert.equal((await wire.head()).status, 200)
  assert.equal(last().fields.upgrade, undefined)
  wire.close()
})
test('Upgrade without Connection is a plain request', async () => {
  const wire = await ask(request('/plain', { connection: [] }))
  assert.equal((await wire.head()).status, 200)
  assert.equal(last().fields.upgrade, undefined)
  wire.close()
})
test('h2c is stripped, with its settings', async () => {
  const wire = await ask(request('/plain', { connection: ['Upgrade, HTTP2-Settings'], upgrade: 'h2c', withKey: false, version: null, extra: 'HTTP2-Settings: AAMAAABk\r\n' }))
  assert.equal((await wire.head()).status, 200)
  assert.equal(last().fields.upgrade, undefined)
  assert.equal(last().fields['http2-settings'], undefined)
  wire.close()
})
test('of several protocols only websocket is chosen', async () => {
  await tunnels(request('/ok', { upgrade: 'h2c, websocket' }))
  assert.equal(last().fields.upgrade, 'websocket')
})
test('keep-alive, Upgrade', () => tunnels(request('/ok', { connection: ['keep-alive, Upgrade'] })))
test('two Connection lines', () => tunnels(request('/ok', { connection: ['keep-alive', 'Upgrade'] })))
test('any letter case', () => tunnels(request('/ok', { connection: ['UPGRADE'], upgrade: 'WebSocket' }).replace('Connection', 'connection').replace('Upgrade:', 'upgrade:')))
test('fields that Connection names go no further', async () => {
  await tunnels(request('/ok', { connection: ['Upgrade, X-Internal-Auth'], extra: 'X-Internal-Auth: secret\r\n' }))
  assert.equal(last().fields['x-internal-auth'], undefined)
  assert.equal(last().fields.connection, 'Upgrade')
})
test('but X-Forwarded-For does, and Host may not be named', async () => {
  await tunnels(request('/ok', { connection: ['Upgrade, X-Forwarded-For'], extra: 'X-Forwarded-For: 1.2.3.4\r\n' }))
  assert.equal(last().fields['x-forwarded-for'], '127.0.0.1') // nobody trusts this client's word
  await refuses(request('/ok', { connection: ['Upgrade, Host'] }), 400)
})
test('subprotocols and extensions pass untouched and in order, cookies too', async () => {
  const head = await tunnels(request('/protocol', { extra: 'Sec-WebSocket-Protocol: a, b\r\nSec-WebSocket-Protocol: c\r\nSec-WebSocket-Extensions: permessage-deflate\r\n' }))
  assert.match(last().head, /Sec-WebSocket-Protocol: a, b\r\nSec-WebSocket-Protocol: c\r\n/)
  assert.equal(head.fields['sec-websocket-protocol'], 'b')
  assert.equal(head.fields['sec-websocket-extensions'], 'permessage-deflate; x=1')
  assert.equal(head.fields['set-cookie'], 's=1')
})
for (const path of ['/length0', '/chunked']) {
  test(`a 101 with a body's framing (${path}) loses it and tunnels`, async () => {
    const head = await tunnels(request(path))
    assert.equal(head.fields['content-length'] ?? head.fields['transfer-encoding'], undefined)
  })
}
for (const [size, status] of [[9000, 101], [17000, 101], [40000, 431]]) {
  test(`a cookie of ${size} bytes: ${status}`, async () => {
    const wire = await ask(request('/ok', { extra: `Cookie: a=${'x'.repeat(size)}\r\n` }))
    assert.equal((await wire.head()).status, status)
    wire.close()
  })
}
test('a head that comes byte by byte', async () => {
  const wire = await Wire.connect(turnout.port)
  for (const byte of Buffer.from(request('/ok'))) wire.send(Buffer.from([byte]))
  assert.equal((await wire.head()).status, 101)
  wire.close()
})

// What two parsers could read differently never reaches the server.
const smuggled = {
  'Content-Length with Transfer-Encoding': plain('/', 'Content-Length: 4\r\nTransfer-Encoding: chunked\r\n', 'POST'),
  'Content-Length twice': plain('/', 'Content-Length: 4\r\nContent-Length: 4\r\n', 'POST'),
  'Content-Length +4': plain('/', 'Content-Length: +4\r\n', 'POST'),
  'Transfer-Encoding gzip, chunked': plain('/', 'Transfer-Encoding: gzip, chunked\r\n', 'POST'),
  'Transfer-Encoding in HTTP/1.0': 'POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n',
  'obs-fold': plain('/', 'A: b\r\n c\r\n'),
  'a bare LF': 'GET / HTTP/1.1\nHost: x\n\n',
  'a bare CR in a value': plain('/', 'A: b\rc\r\n'),
  'a NUL in a value': plain('/', 'A: b\0c\r\n'),
  'a blank before the colon': plain('/', 'A : b\r\n'),
  'a line without colon': plain('/', 'nonsense\r\n'),
  'a name outside token': plain('/', 'A(b): c\r\n'),
  'two blanks in the request line': 'GET  / HTTP/1.1\r\nHost: x\r\n\r\n',
  'a tab in the request line': 'GET\t/ HTTP/1.1\r\nHost: x\r\n\r\n',
  'no Host': 'GET / HTTP/1.1\r\n\r\n',
  'two Hosts': plain('/', 'Host: y\r\n'),
  'absolute-form against Host': 'GET http://y/ HTTP/1.1\r\nHost: x\r\n\r\n',
  'a path that climbs out': plain('/a/../../b'),
  'a path that climbs out once decoded': plain('/a/..%2f..%2fb'),
  '%00 in the path': plain('/a%00b')
}
for (const [what, text] of Object.entries(smuggled)) {
  test(`400 and closed, unseen by the server: ${what}`, async () => {
    const wire = await ask(text)
    assert.equal((await wire.head()).status, 400)
    assert.equal(await wire.closed(), 'FIN')
    assert.equal(backend.requests.length, 0)
    wire.close()
  })
}
test('another version is 505', () => refuses('GET / HTTP/2.0\r\nHost: x\r\n\r\n', 505))

test('a client that gives up before the 101 frees its server at once', async () => {
  const silent = await Backend.start(async wire => { await wire.closed(20000); return 'tunnel' })
  const t = await Turnout.start(simple(silent))
  const wire = await Wire.connect(t.port)
  wire.send(request('/'))
  await until(() => silent.requests.length === 1)
  assert.equal(t.server(silent.address).active, 1)
  wire.reset()
  await silent.wires[0].closed(2000)
  await until(() => t.server(silent.address).active === 0, 'the seat is free')
  const line = await t.event(e => e.event === 'refused')
  assert.equal(line.reason, 'CLIENT_LEFT')
  assert.equal(line.letters, 'CH')
  await t.stop()
  await silent.stop()
})
test('websocket: { require_key: no } lets a handshake without key pass', async () => {
  const t = await Turnout.start(t => `listeners: [ { listen: 127.0.0.1:${t.port} } ]
pools: { main: { servers: [ ${backend.address} ] } }
routes: [ { pool: main, websocket: { require_key: no } } ]
`)
  assert.equal((await (await Wire.connect(t.port)).send(request('/noaccept', { withKey: false })).head()).status, 101)
  await t.stop()
})
test('a dead server is passed over, and all dead is an answer', async () => {
  const dead = `127.0.0.1:${await freePort()}`
  const t = await Turnout.start(simple(dead, backend))
  for (let i = 0; i < 6; i++) (await tunnel(t.port, '/ok')).close()
  t.write(simple(dead))
  assert.equal(t.command('reload').code, 0)
  const wire = await Wire.connect(t.port)
  assert.equal((await wire.send(request('/ok')).head()).status, 502)
  const line = await t.event(e => e.event === 'refused')
  assert.equal(line.letters, 'SC')
  assert.equal(line.reason, 'CONNECT_REFUSED')
  await t.stop()
})
