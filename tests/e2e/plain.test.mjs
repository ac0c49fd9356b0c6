// Plain HTTP goes through the same path: bodies both ways, kept connections, and routes.
import assert from 'node:assert/strict'
import http from 'node:http'
import { after, before, test } from 'node:test'
import { Backend, Wire, answer, plain } from './lib/raw.mjs'
import { Turnout } from './lib/turnout.mjs'

let turnout, server, raw
before(async () => {
  server = http.createServer((req, res) => {
    const parts = []
    req.on('data', data => parts.push(data)).on('end', () => {
      const body = Buffer.concat(parts)
      if (req.url === '/chunked') { res.write('first '); res.end('second'); return }
      if (req.url === '/none') { res.writeHead(204).end(); return }
      if (req.url === '/big') { res.end(Buffer.alloc(3 << 20, 'x')); return }
      res.setHeader('Content-Length', Buffer.byteLength(`${req.method} ${req.url} ${body.length}`))
      res.end(`${req.method} ${req.url} ${body.length}`)
    })
  })
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
  raw = await Backend.start(async (wire, { path }) => {
    if (path === '/raw/close') { wire.send('HTTP/1.1 200 OK\r\n\r\nuntil the end'); wire.end(); return 'tunnel' }
    if (path === '/raw/cut') { wire.send('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this'); wire.end(); return 'tunnel' }
    if (path === '/raw/100') { wire.send('HTTP/1.1 100 Continue\r\n\r\n'); await wire.until('body'); wire.got = Buffer.alloc(0); wire.send(answer(200, 'got it')); return }
    wire.send(answer(200, `raw ${path}`))
  })
  turnout = await Turnout.start(t => `listeners: [ { listen: 127.0.0.1:${t.port} } ]
pools: { web: { servers: [ 127.0.0.1:${server.address().port} ] }, raw: { servers: [ ${raw.address} ] } }
limits: { body: 1m }
routes:
  - { match: { prefix: /raw }, pool: raw }
  - { match: { host: "*.example.com", path: "/rooms/{room}" }, pool: raw }
  - { match: { host: strict.example.org }, encoded_slashes: refuse, pool: raw }
  - { match: { host: x }, pool: web }
`)
})
after(async () => { await turnout.stop(); server.closeAllConnections(); server.close(); await raw.stop() })

async function exchange (text) {
  const wire = await Wire.connect(turnout.port)
  wire.send(text)
  const head = await wire.head()
  const length = Number(head.fields['content-length'] ?? 0)
  const body = (await wire.take(length)).toString()
  return { wire, ...head, body }
}

test('Content-Length up, Content-Length down', async () => {
  const { status, body, wire } = await exchange(plain('/up', 'Content-Length: 5\r\n', 'POST') + 'hello')
  assert.deepEqual([status, body], [200, 'POST /up 5'])
  wire.close()
})
test('chunked up', async () => {
  const { body, wire } = await exchange(plain('/up', 'Transfer-Encoding: chunked\r\n', 'POST') + '5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nTrailer: 1\r\n\r\n')
  assert.equal(body, 'POST /up 11')
  wire.close()
})
test('chunked down', async () => {
  const wire = await Wire.connect(turnout.port)
  wire.send(plain('/chunked'))
  assert.equal((await wire.head()).fields['transfer-encoding'], 'chunked')
  await wire.until('0\r\n\r\n')
  assert.match(wire.text, /first [\s\S]*second/)
  wire.close()
})
test('bad chunks are 400', async () => {
  const { status, wire } = await exchange(plain('/up', 'Transfer-Encoding: chunked\r\n', 'POST') + 'zz\r\nhello\r\n')
  assert.equal(status, 400)
  wire.close()
})
test('a body beyond limits.body is 413', async () => {
  const { status, wire } = await exchange(plain('/up', 'Content-Length: 2000000\r\n', 'POST'))
  assert.equal(status, 413)
  wire.close()
})
test('HEAD and 204 have no body, and the connection serves on', async () => {
  const wire = await Wire.connect(turnout.port)
  wire.send(plain('/x', '', 'HEAD') + plain('/none') + plain('/after'))
  assert.equal((await wire.head()).fields['content-length'], '9')
  assert.equal((await wire.head()).status, 204)
  assert.equal((await wire.head()).status, 200)
  await wire.until('GET /after 0')
  wire.close()
})
test('pipelined requests are answered in order', async () => {
  const wire = await Wire.connect(turnout.port)
  wire.send(Array.from({ length: 20 }, (_, i) => plain(`/p${i}`)).join(''))
  for (let i = 0; i < 20; i++) {
    const { fields } = await wire.head()
    assert.equal((await wire.take(Number(fields['content-length']))).toString(), `GET /p${i} 0`)
  }
  wire.close()
})
test('3 MiB down to a reader that begins late', async () => {
  const wire = await Wire.connect(turnout.port)
  wire.socket.pause()
  wire.send(plain('/big'))
  wire.socket.resume()
  const head = await wire.head()
  const length = Number(head.fields['content-length'] ?? 3 << 20)
  assert.equal(length, 3 << 20)
  assert.ok((await wire.take(length, 10000)).every(byte => byte === 120))
  wire.close()
})
test('an answer that ends with the connection ends the client\'s', async () => {
  const wire = await Wire.connect(turnout.port)
  wire.send(plain('/raw/close'))
  assert.equal((await wire.head()).fields.connection, 'close')
  assert.equal(await wire.closed(), 'FIN')
  assert.equal(wire.text, 'until the end')
})
test('a body that is cut ends as a cut', async () => {
  const wire = await Wire.connect(turnout.port)
  wire.send(plain('/raw/cut'))
  await wire.head()
  await wire.closed()
  assert.ok(wire.got.length < 100)
  assert.equal((await turnout.event(e => e.reason === 'RESPONSE_CUT')).letters, 'SD')
})
test('100 Continue passes, then the body, then the answer', async () => {
  const wire = await Wire.connect(turnout.port)
  wire.send(plain('/raw/100', 'Expect: 100-continue\r\nContent-Length: 4\r\n', 'POST'))
  assert.equal((await wire.head()).status, 100)
  wire.send('body')
  assert.equal((await wire.head()).status, 200)
  wire.close()
})
test('HTTP/1.0 closes, unless it asks not to', async () => {
  const one = await exchange('GET /x HTTP/1.0\r\nHost: x\r\n\r\n')
  assert.equal(one.fields.connection, 'close')
  assert.equal(await one.wire.closed(), 'FIN')
  const two = await exchange('GET /x HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n')
  assert.equal(two.fields.connection, 'keep-alive')
  two.wire.close()
})
test('HTTP/1.0 gets a chunked answer unchunked', async () => {
  const wire = await Wire.connect(turnout.port)
  wire.send('GET /chunked HTTP/1.0\r\nHost: x\r\n\r\n')
  assert.equal((await wire.head()).fields['transfer-encoding'], undefined)
  await wire.closed()
  assert.equal(wire.text, 'first second')
})

const routes = [
  ['/raw', 'x', 200, 'raw /raw'],
  ['/raw/', 'x', 200, 'raw /raw/'],
  ['/rawx', 'x', 200, 'GET /rawx 0'],
  ['/a/../raw/b', 'x', 200, 'raw /a/../raw/b'],
  ['/%72aw/b', 'x', 200, 'raw /%72aw/b'],
  ['/rooms/7', 'chat.example.com', 200, 'raw /rooms/7'],
  ['/rooms/7', 'CHAT.Example.COM:8080', 200, 'raw /rooms/7'],
  ['/rooms/7/', 'chat.example.com', 404],
  ['/rooms/', 'chat.example.com', 404],
  ['/rooms/a%2Fb', 'chat.example.com', 200, 'raw /rooms/a%2Fb'],
  ['/rooms/7', 'example.com', 404],
  ['/a%2Fb', 'strict.example.org', 400],
  ['/ab', 'strict.example.org', 200, 'raw /ab'],
  ['/x', 'nowhere', 404]
]
for (const [path, host, status, body] of routes) {
  test(`route: ${host}${path}: ${status}`, async () => {
    const got = await exchange(plain(path).replace('Host: x', `Host: ${host}`))
    assert.equal(got.status, status)
    if (body) assert.equal(got.body, body)
    got.wire.close()
  })
}
test('every plain request is a `request` line', async () => {
  ;(await exchange(plain('/logged'))).wire.close()
  const line = await turnout.event(e => e.event === 'request' && e.path === '/logged')
  assert.deepEqual([line.status, line.method, line.pool, line.letters], [200, 'GET', 'web', '--'])
})
