// Tunnels that are closed on purpose: whose, when, by what, and what becomes of those that cannot be told.
import assert from 'node:assert/strict'
import http from 'node:http'
import net from 'node:net'
import { after, before, beforeEach, describe, test } from 'node:test'
import { Backend, Wire, answer, closeFrame, frame, plain, request, switching, tunnel } from './lib/raw.mjs'
import { Echo, Turnout, until } from './lib/turnout.mjs'

// A request to the admin API: { status, json }.
const ask = (t, method, path, body) => new Promise((resolve, reject) => {
  const r = http.request({ socketPath: t.admin.slice(5), method, path, headers: body === undefined ? {} : { 'content-type': 'application/json' } }, answer => {
    let text = ''
    answer.on('data', data => { text += data }).on('end', () => resolve({ status: answer.statusCode, json: JSON.parse(text) }))
  })
  r.on('error', reject).end(body === undefined ? undefined : JSON.stringify(body))
})
const begin = async (t, body) => { const { status, json } = await ask(t, 'POST', '/api/v1/drains', body); assert.equal(status, 201, JSON.stringify(json)); return json.id }
const drain = async (t, id) => (await ask(t, 'GET', `/api/v1/drains/${id}`)).json
const done = (t, id, within) => until(async () => { const d = await drain(t, id); return d.done && d }, `drain ${id} is done`, within)
const codeOf = wire => { const at = wire.got.lastIndexOf(Buffer.from([0x88, 0x02])); return at < 0 ? null : wire.got.readUInt16BE(at + 2) }
const codeToServer = wire => {
  const at = wire.got.lastIndexOf(Buffer.from([0x88, 0x82]))
  return at < 0 ? null : ((wire.got[at + 6] ^ wire.got[at + 2]) << 8) | (wire.got[at + 7] ^ wire.got[at + 3])
}

// A server whose tunnels are the test's, and that answers plain requests.
const scripted = () => Backend.start(async (wire, { head, path }, b) => {
  wire.path = path
  if (!/upgrade: websocket/i.test(head)) { wire.send(answer(200, 'ok')); return }
  if (b.waits) await b.waits
  wire.send(switching())
  ;(b.tunnels ??= []).push(wire)
  return 'tunnel'
})
const pools = `pools:
  chat: { servers: [ A, B ], balance: round_robin, drain: { over: 200ms, code: 1012 } }
  spare: { servers: [ B ] }
  off: { servers: [ C ] }
routes:
  - { match: { path: /only }, name: only, pool: off }
  - { match: { path: /both }, name: both, pools: [ { pool: off, weight: 1 }, { pool: spare, weight: 1 } ] }
  - { match: { prefix: / }, name: all, pool: chat }
`

describe('a server, a pool, a route, the node', () => {
  let a, b, c, t
  before(async () => {
    [a, b, c] = await Promise.all([scripted(), scripted(), scripted()])
    t = await Turnout.start(t => `listeners: [ { listen: 127.0.0.1:${t.port} } ]\n` + pools.replace('A', a.address).replace(/B/g, b.address).replace('C', c.address))
  })
  after(async () => { await t.stop(); await Promise.all([a.stop(), b.stop(), c.stop()]) })
  beforeEach(() => {
    for (const { wires } of [a, b, c]) for (const wire of wires) wire.close()
    return until(() => t.counters().tunnels === 0, 'those before are gone')
  })
  const refused = async (path, reason) => {
    const client = await Wire.connect(t.port)
    client.send(request(path))
    const head = await client.head()
    client.close()
    assert.equal(head.status, 503)
    assert.ok(Number(head.fields['retry-after']) >= 1)
    await t.event(e => e.event === 'refused' && e.reason === reason)
  }

  test('a server: its tunnels are closed with 1012 on both sides, no new ones come, the others live on; undrain takes it back', async () => {
    a.tunnels = []
    b.tunnels = []
    const clients = await Promise.all(Array.from({ length: 12 }, () => tunnel(t.port)))
    await until(() => a.tunnels.length === 6 && b.tunnels.length === 6)
    const { code, out } = t.command('drain', 'server', `chat/${a.address}`, '--wait')
    assert.equal(code, 0)
    assert.match(out, /drain \d+ of server chat\/127.0.0.1:\d+, done: 0 left, 6 closed with 1012 \(0 unaligned\)/)
    const closed = await until(() => { const ended = clients.filter(w => w.ended); return ended.length >= 6 && ended })
    assert.equal(closed.length, 6)
    for (const w of closed) assert.deepEqual([codeOf(w), w.got.length, w.ended], [1012, 4, 'FIN'])
    for (const w of a.tunnels) { await w.closed(); assert.deepEqual([codeToServer(w), w.got.length, w.ended], [1012, 8, 'FIN']) }
    const line = await t.event(e => e.event === 'close' && e.reason === 'DRAINED')
    assert.equal(line.letters, 'DD')
    for (let i = 0; i < 4; i++) clients.push(await tunnel(t.port))
    assert.equal(a.tunnels.length, 6)
    assert.equal(t.server(a.address).state, 'drain')
    const undone = t.command('undrain', 'server', `chat/${a.address}`)
    assert.equal(undone.code, 0, undone.err)
    for (let i = 0; i < 4; i++) clients.push(await tunnel(t.port))
    assert.equal(a.tunnels.length, 8)
    for (const w of clients) w.close()
  })
  test('a pool: 503 with Retry-After while it is drained; a route with another pool goes there', async () => {
    const id = await begin(t, { pool: 'off', over: '0s' })
    await refused('/only', 'POOL_DRAINED')
    b.tunnels = []
    const clients = await Promise.all(Array.from({ length: 4 }, () => tunnel(t.port, '/both')))
    assert.equal(b.tunnels.length, 4)
    assert.equal((await drain(t, id)).state, 'drained')
    assert.match(t.command('status').out, /drain \d+ of pool off, drained/)
    assert.equal((await ask(t, 'DELETE', `/api/v1/drains/${id}`)).json.state, 'undone')
    clients.push(await tunnel(t.port, '/only'))
    for (const w of clients) w.close()
  })
  test('a route: only its own tunnels, with the code that is asked for', async () => {
    const own = await tunnel(t.port, '/only')
    const other = await tunnel(t.port, '/both')
    assert.equal(t.command('drain', 'route', 'only', '--over', '50ms', '--code', '1001', '--wait').code, 0)
    assert.equal(await own.closed(), 'FIN')
    assert.equal(codeOf(own), 1001)
    await refused('/only', 'ROUTE_DRAINED')
    assert.equal(other.ended, null)
    assert.equal(t.command('undrain', 'route', 'only').code, 0)
    for (const w of [own, other, await tunnel(t.port, '/only')]) w.close()
  })
  test('the node: the process stays, /ready says no, kept connections are closed; undrain brings it back', async () => {
    const client = await tunnel(t.port)
    const [idle, busy] = [await Wire.connect(t.port), await Wire.connect(t.port)]
    idle.send(plain('/'))
    await idle.until('ok')
    const id = await begin(t, { node: true, over: '100ms' })
    assert.equal((await ask(t, 'GET', '/ready')).status, 503)
    assert.equal(await idle.closed(), 'FIN')
    busy.send(plain('/'))
    await busy.closed()
    assert.match(busy.text, /^HTTP\/1.1 503 .*connection: close/is)
    await refused('/', 'NODE_DRAINED')
    await done(t, id)
    assert.equal(codeOf(client), 1012)
    assert.equal(t.status().state, 'draining')
    assert.equal(t.command('undrain', 'node').code, 0)
    assert.equal((await ask(t, 'GET', '/ready')).status, 200)
    const again = await tunnel(t.port)
    for (const w of [client, idle, busy, again]) w.close()
  })
  test('a handshake that is under way when it begins becomes a tunnel that is closed, and the drain waits for it', async () => {
    let go
    a.waits = b.waits = new Promise(resolve => { go = resolve })
    const asked = a.requests.length + b.requests.length
    const late = tunnel(t.port)
    await until(() => a.requests.length + b.requests.length > asked)
    const id = await begin(t, { pool: 'chat', over: '0s' })
    await until(async () => (await drain(t, id)).requests === 1)
    assert.equal((await drain(t, id)).done, false)
    go()
    a.waits = b.waits = undefined
    const client = await late
    await client.closed()
    assert.equal(codeOf(client), 1012)
    const { closed, left } = await done(t, id)
    assert.deepEqual([closed, left], [1, 0])
    assert.equal(t.command('undrain', 'pool', 'chat').code, 0)
    client.close()
  })
  test('undone half-way: what is not closed yet lives on', async () => {
    const clients = await Promise.all(Array.from({ length: 20 }, () => tunnel(t.port)))
    const id = await begin(t, { pool: 'chat', over: '20s' })
    await until(async () => (await drain(t, id)).closed >= 2)
    const { json } = await ask(t, 'DELETE', `/api/v1/drains/${id}`)
    assert.equal(json.state, 'undone')
    const { closed, left } = await done(t, id)
    assert.ok(closed >= 2 && closed < 20 && closed + left === 20)
    for (const w of clients.filter(w => !w.ended)) assert.equal(codeOf(w), null)
    assert.ok(clients.filter(w => !w.ended).length >= 20 - closed)
    assert.match(t.command('undrain', 'pool', 'chat').err, /pool chat is not drained/)
    for (const w of clients) w.close()
  })
  test('two drains of one tunnel: one Close, the first one\'s, and both count it', async () => {
    const client = await tunnel(t.port)
    const slow = await begin(t, { pool: 'chat', over: '60s', code: 1012 })
    const fast = await begin(t, { route: 'all', over: '0s', code: 1001 })
    await client.closed()
    assert.ok(client.got.equals(closeFrame(1001, false)))
    client.close()
    for (const id of [slow, fast]) assert.equal((await done(t, id)).closed, 1)
    for (const what of [['pool', 'chat'], ['route', 'all']]) assert.equal(t.command('undrain', ...what).code, 0)
  })
  test('a reload in the midst of it changes nothing, and who is kept out stays out', async () => {
    const clients = await Promise.all(Array.from({ length: 20 }, () => tunnel(t.port)))
    const id = await begin(t, { pool: 'chat', over: '1500ms' })
    for (let i = 0; i < 3; i++) {
      await until(async () => (await drain(t, id)).closed >= 4 * (i + 1))
      assert.equal(t.command('reload').code, 0)
    }
    assert.equal((await done(t, id)).closed, 20)
    for (const w of clients) { assert.equal(codeOf(w), 1012); w.close() }
    await refused('/', 'POOL_DRAINED')
    t.command('undrain', 'pool', 'chat')
  })
  test('a server that is drained stays so over a reload', async () => {
    const id = await begin(t, { server: `chat/${a.address}`, over: '0s' })
    await done(t, id)
    assert.equal(t.command('reload').code, 0)
    a.tunnels = []
    const clients = await Promise.all(Array.from({ length: 4 }, () => tunnel(t.port)))
    assert.equal(a.tunnels.length, 0)
    t.command('undrain', 'server', `chat/${a.address}`)
    for (const w of clients) w.close()
  })
  test('what is wrong is named, with what there is', async () => {
    const wrong = async (body, status, words) => {
      const { status: got, json } = await ask(t, 'POST', '/api/v1/drains', body)
      assert.equal(got, status)
      assert.match(JSON.stringify(json), words)
    }
    await wrong({ server: 'chat/127.0.0.1:1' }, 404, new RegExp(`there is no server .*chat/127.0.0.1:1.*it has: ${a.address}, ${b.address}`))
    await wrong({ server: 'chat' }, 422, /chat\/127.0.0.1:9001/)
    await wrong({ server: 'cat/127.0.0.1:1' }, 404, /no pool .*cat.*there is: chat, spare, off/)
    await wrong({ pool: 'cat' }, 404, /there is: chat, spare, off/)
    await wrong({ route: 'none' }, 404, /there is: only, both, all/)
    await wrong({}, 422, /nothing is named/)
    await wrong({ pool: 'chat', node: true }, 422, /more than one/)
    await wrong({ pool: 'chat', code: 1005 }, 422, /1001 .*1012/)
    await wrong({ pool: 'chat', over: 'soon' }, 422, /over/)
    await wrong({ pool: 'chat', under: '3s' }, 422, /under/)
    assert.equal((await ask(t, 'GET', '/api/v1/drains/99999')).status, 404)
    assert.equal((await ask(t, 'DELETE', '/api/v1/drains/x')).status, 404)
    assert.equal((await ask(t, 'DELETE', '/api/v1/drains')).status, 400)
    assert.deepEqual([t.command('drain', 'pool').code, t.command('drain', 'cellar', 'x').code, t.command('drain', 'server', 'chat/127.0.0.1:1').code], [2, 2, 1])
    assert.match(t.command('drain', 'server', 'chat/127.0.0.1:1').err, new RegExp(`it has: ${a.address}`))
  })
})

describe('who cannot be told, and who need not be', () => {
  let backend, t
  before(async () => {
    backend = await scripted()
    t = await Turnout.start(t => `listeners: [ { listen: 127.0.0.1:${t.port} } ]
pools: { main: { servers: [ ${backend.address} ], drain: { over: 0s } } }
routes: [ { match: { path: /short }, pool: main, timeouts: { lifetime: 400ms, lifetime_jitter: 0% } }, { match: { prefix: / }, pool: main } ]
`)
  })
  after(async () => { await t.stop(); await backend.stop() })
  beforeEach(() => {
    for (const wire of backend.wires) wire.close()
    return until(() => t.counters().tunnels === 0, 'those before are gone')
  })
  const open = async path => {
    backend.tunnels = []
    const client = await tunnel(t.port, path)
    return { client, server: await until(() => backend.tunnels[0]) }
  }
  const drained = async act => {
    const id = await begin(t, { pool: 'main' })
    if (act) await until(async () => (await drain(t, id)).left === 1, 'the worker knows of it')
    await act?.()
    const d = await done(t, id, 20000)
    t.command('undrain', 'pool', 'main')
    return d
  }
  const half = frame(Buffer.alloc(1000, 'm'), { masked: false })

  test('a server that stalls inside a frame: FIN after five seconds, unaligned; the server is told all the same', async () => {
    const { client, server } = await open()
    server.send(half.subarray(0, 500))
    await client.length(500)
    const since = Date.now()
    const d = await drained()
    assert.ok(Date.now() - since > 4000)
    assert.deepEqual([d.closed, d.unaligned, client.got.length, client.ended, codeToServer(server)], [1, 1, 500, 'FIN', 1012])
    client.close()
  })
  test('a client that stalls inside a frame: the client is told, the server sees the FIN', async () => {
    const { client, server } = await open()
    client.send(frame('x'.repeat(300)).subarray(0, 100))
    await server.length(100)
    const d = await drained()
    assert.deepEqual([d.unaligned, codeOf(client), server.got.length], [1, 1012, 100])
    assert.equal(await server.closed(), 'FIN')
    client.close()
  })
  test('the end of a frame that is under way is waited for, and what comes behind it is not passed on', async () => {
    const { client, server } = await open()
    server.send(half.subarray(0, 500))
    await client.length(500)
    const d = await drained(async () => { server.send(Buffer.concat([half.subarray(500), frame('never seen', { masked: false })])) })
    assert.deepEqual([d.closed, d.unaligned], [1, 0])
    assert.ok(client.got.equals(Buffer.concat([half, closeFrame(1012, false)])))
    client.close()
  })
  test('what is no RFC 6455 ends by FIN at once, and counts as unaligned', async () => {
    const { client, server } = await open()
    server.send('this is no frame')
    client.send('neither is this')
    await client.until('frame')
    await server.until('this')
    const d = await drained()
    assert.deepEqual([d.closed, d.unaligned, client.ended, client.text, server.text], [1, 1, 'FIN', 'this is no frame', 'neither is this'])
    client.close()
  })
  test('who has said Close already hears no second one', async () => {
    const { client, server } = await open()
    client.send(closeFrame(1000))
    await server.length(8)
    const d = await drained()
    assert.equal(d.unaligned, 0)
    assert.equal(server.got.length, 8)
    assert.equal(codeOf(client), 1012)
    client.close()
  })
  test('a lifetime ends at a frame boundary as well', async () => {
    const { client, server } = await open('/short')
    server.send(half.subarray(0, 500))
    await client.length(500)
    await new Promise(resolve => setTimeout(resolve, 700)) // longer than it may live
    server.send(half.subarray(500))
    await client.closed()
    assert.ok(client.got.equals(Buffer.concat([half, closeFrame(1001, false)])))
    client.close()
    assert.equal((await t.event(e => e.event === 'close' && e.client.endsWith(`:${client.localPort}`))).reason, 'LIFETIME')
  })
  test('a client that reads slowly gets what is under way for it, and its Close', async () => {
    const { client, server } = await open()
    client.socket.pause()
    const big = frame(Buffer.alloc(8 << 20, 'b'), { masked: false })
    server.send(big)
    await until(() => t.json('connections').connections[0].to_client_unsent_bytes > 0)
    const d = drained()
    await until(async () => (await ask(t, 'GET', '/api/v1/drains')).json.drains.at(-1).left === 1)
    client.socket.resume()
    await client.closed(10000)
    assert.ok(client.got.equals(Buffer.concat([big, closeFrame(1012, false)])), `${client.got.length}`)
    assert.equal((await d).unaligned, 0)
    client.close()
  })
})

test('tcp flows end by FIN behind what is unsent', async () => {
  const sockets = []
  const server = net.createServer({ allowHalfOpen: true }, s => { sockets.push(s); s.on('error', () => {}); s.write(Buffer.alloc(3 << 20, 'd')) })
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
  const t = await Turnout.start(t => `listeners: [ { listen: 127.0.0.1:${t.port}, tcp: raw } ]\npools: { raw: { servers: [ 127.0.0.1:${server.address().port} ] } }\n`)
  const client = await Wire.connect(t.port)
  await client.length(3 << 20)
  const [id] = [await begin(t, { pool: 'raw', over: '100ms' })]
  assert.equal(await client.closed(), 'FIN')
  client.end()
  const d = await done(t, id)
  assert.deepEqual([d.closed, d.unaligned, client.got.length], [1, 1, 3 << 20])
  const other = await Wire.connect(t.port)
  await other.closed()
  await t.event(e => e.event === 'refused' && e.reason === 'POOL_DRAINED')
  for (const s of sockets) s.destroy()
  client.close()
  other.close()
  await t.stop()
  await new Promise(resolve => server.close(resolve))
})
test('a drain that runs when the process is told to stop does not hold it up', async () => {
  const echo = await Echo.start()
  const t = await Turnout.start(t => `timeouts: { shutdown_grace: 200ms }\nlisteners: [ { listen: 127.0.0.1:${t.port} } ]\npools: { main: { servers: [ ${echo.address} ] } }\n`)
  const clients = await Promise.all(Array.from({ length: 10 }, () => tunnel(t.port)))
  await begin(t, { pool: 'main', over: '60s' })
  t.command('rebalance', 'main')
  t.child.kill('SIGTERM')
  for (const w of clients) { await w.closed(); w.close() }
  assert.equal(await t.exit, 0)
  await echo.stop()
})
