// What a gateway owes, seen from the server and from the client: who asked, which way, in whose words.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Backend, Wire, answer, plain, request, acceptFor, key } from './lib/raw.mjs'
import { Turnout } from './lib/turnout.mjs'

let turnout, server
before(async () => {
  server = await Backend.start(async (wire, { path, head }) => {
    if (path === '/ws') { wire.send(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptFor(key)}\r\n\r\n`); return 'tunnel' }
    if (path === '/old') { wire.send('HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n'); wire.end(); return 'tunnel' }
    if (path === '/hop') { wire.send('HTTP/1.1 200 OK\r\nConnection: X-Hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nVia: 1.1 other\r\nContent-Length: 0\r\n\r\n'); return }
    wire.send(head.startsWith('HEAD') ? 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n' : answer(200, 'hello'))
  })
  turnout = await Turnout.start(t => `listeners: [ { listen: 127.0.0.1:${t.port} }, { listen: "unix:${t.dir}/l.sock" } ]
trusted_proxies: [ 127.0.0.2, 10.0.0.0/8 ]
limits: { request_head: 4k }
pools: { web: { servers: [ ${server.address} ] } }
routes: [ { match: { prefix: /none }, pool: web }, { match: { host: x }, pool: web } ]
`)
})
after(async () => { await turnout.stop(); await server.stop() })

async function seen (head, { localAddress } = {}) {
  server.requests.length = 0
  const wire = await Wire.connect(turnout.port, { localAddress })
  wire.send(head)
  const got = await wire.head()
  wire.close()
  return { ...got, asked: server.requests[0] }
}

test('an untrusted peer is not believed', async () => {
  const { asked } = await seen(plain('/a', 'X-Forwarded-For: 1.2.3.4\r\nForwarded: for=1.2.3.4\r\nX-Forwarded-Proto: https\r\nX-Forwarded-User: root\r\n'))
  assert.equal(asked.fields['x-forwarded-for'], '127.0.0.1')
  assert.equal(asked.fields.forwarded, 'for=127.0.0.1;host="x";proto=http')
  assert.equal(asked.fields['x-forwarded-proto'], 'http')
  assert.equal(asked.fields['x-forwarded-host'], 'x')
  assert.equal(asked.fields['x-forwarded-port'], String(turnout.port))
  assert.equal(asked.fields['x-forwarded-user'], undefined)
})
test('a trusted one is, and the log names whom the request is from', async () => {
  const { asked } = await seen(plain('/trusted', 'X-Forwarded-For: 6.6.6.6, 1.2.3.4, 10.0.0.7\r\nX-Forwarded-Proto: https\r\n'), { localAddress: '127.0.0.2' })
  assert.equal(asked.fields['x-forwarded-for'], '6.6.6.6, 1.2.3.4, 10.0.0.7, 127.0.0.2')
  assert.equal(asked.fields['x-forwarded-proto'], 'https')
  assert.equal((await turnout.event(e => e.path === '/trusted')).client, '1.2.3.4')
})
test('a handshake carries the same', async () => {
  const { status, asked, fields } = await seen(request('/ws', { extra: 'X-Forwarded-For: 1.2.3.4\r\n' }))
  assert.deepEqual([status, asked.fields['x-forwarded-for'], asked.fields.via, fields.via], [101, '127.0.0.1', '1.1 turnout', '1.1 turnout'])
})
test('Via says the version that came, both ways', async () => {
  const one = await seen('GET /old HTTP/1.0\r\nHost: x\r\n\r\n')
  assert.deepEqual([one.asked.fields.via, one.fields.via], ['1.0 turnout', '1.0 turnout'])
  assert.ok(one.head.startsWith('HTTP/1.1 200'))
  const two = await seen(plain('/hop', 'Via: 1.0 mine\r\n'))
  assert.match(two.asked.head, /Via: 1.0 mine\r\n[\s\S]*Via: 1.1 turnout\r\n/)
  assert.match(two.head, /Via: 1.1 other\r\n[\s\S]*Via: 1.1 turnout\r\n/)
  assert.deepEqual([two.fields['x-hop'], two.fields['keep-alive']], [undefined, undefined])
  assert.ok(two.fields.date)
})
test('a request id is passed, or made and logged', async () => {
  const given = await seen(plain('/id1', 'X-Request-Id: abc-1\r\n'))
  assert.equal(given.asked.fields['x-request-id'], 'abc-1')
  assert.equal((await turnout.event(e => e.path === '/id1')).request_id, 'abc-1')
  const made = await seen(plain('/id2'))
  assert.match(made.asked.fields['x-request-id'], /^[0-9a-f]{16}$/)
  assert.equal((await turnout.event(e => e.path === '/id2')).request_id, made.asked.fields['x-request-id'])
})
test('a traceparent is passed, or made', async () => {
  const good = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00'
  assert.equal((await seen(plain('/a', `traceparent: ${good}\r\n`))).asked.fields.traceparent, good)
  const made = (await seen(plain('/a', 'traceparent: 00-nonsense\r\ntracestate: a=1\r\n'))).asked
  assert.match(made.fields.traceparent, /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)
  assert.equal(made.fields.tracestate, undefined)
})
test('absolute-form arrives as origin-form', async () => {
  for (const [target, wanted] of [['http://x/a?b', '/a?b'], ['http://x', '/'], ['http://x?q', '/?q']])
    assert.equal((await seen(`GET ${target} HTTP/1.1\r\nHost: x\r\n\r\n`)).asked.path, wanted)
  assert.equal((await seen('OPTIONS http://x HTTP/1.1\r\nHost: x\r\n\r\n')).asked.path, '*')
})
test('Max-Forwards: 0 is answered here, more is counted down, for OPTIONS and TRACE alone', async () => {
  const here = await seen(plain('/a', 'Max-Forwards: 0\r\n', 'OPTIONS'))
  assert.deepEqual([here.status, here.asked], [200, undefined])
  assert.equal((await seen(plain('/a', 'Max-Forwards: 3\r\n', 'OPTIONS'))).asked.fields['max-forwards'], '2')
  assert.equal((await seen(plain('/a', 'Max-Forwards: 0\r\n'))).asked.fields['max-forwards'], '0')
  assert.equal((await seen(plain('/a', 'Max-Forwards: x\r\n', 'TRACE'))).status, 400)
})
test('TRACE says back what came, without secrets', async () => {
  const wire = await Wire.connect(turnout.port)
  wire.send(plain('/a', 'Max-Forwards: 0\r\nCookie: secret\r\nA: b\r\n', 'TRACE'))
  const { fields } = await wire.head()
  assert.equal(fields['content-type'], 'message/http')
  const text = (await wire.take(Number(fields['content-length']))).toString()
  assert.match(text, /^TRACE \/a HTTP\/1.1\r\nHost: x\r\n[\s\S]*A: b\r\n\r\n$/)
  assert.doesNotMatch(text, /secret/)
  wire.send(plain('/after'))
  assert.equal((await wire.head()).status, 200)
  wire.close()
})
test('an answer of ours to HEAD has no body, and the connection serves on', async () => {
  const wire = await Wire.connect(turnout.port)
  wire.send(plain('/none', '', 'HEAD').replace('Host: x', 'Host: nowhere') + plain('/a', '', 'HEAD') + plain('/b').replace('Host: x', 'Host: nowhere') + plain('/c'))
  const heads = []
  heads.push((await wire.head()).status, (await wire.head()).status)
  const third = await wire.head()
  heads.push(third.status)
  await wire.take(Number(third.fields['content-length']))
  heads.push((await wire.head()).status)
  assert.deepEqual(heads, [200, 200, 404, 200])
  wire.close()
})
test('a request line that never ends is 414, a head that never ends 431', async () => {
  assert.equal((await seen(`GET /${'a'.repeat(5000)}`)).status, 414)
  assert.equal((await seen(`GET /a HTTP/1.1\r\nHost: x\r\nA: ${'a'.repeat(5000)}`)).status, 431)
  assert.equal((await seen(`GET /a HTTP/1.1\r\nHost: x\r\n${'A: b\r\n'.repeat(150)}\r\n`)).status, 431)
})
