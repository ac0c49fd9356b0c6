// Real HTTP through the balancer: curl, fetch, Chromium's EventSource, socket.io over polling; Express and aiohttp behind; HAProxy on either side.
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import os from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import express from 'express'
import { chromium } from 'playwright-core'
import { Server } from 'socket.io'
import { io } from 'socket.io-client'
import WebSocket, { WebSocketServer } from 'ws'
import { Turnout, canConnect, freePort, until } from './lib/turnout.mjs'

const run = promisify(execFile)
const mebibytes = process.env.TURNOUT_LONG ? 1024 : 64
const block = Buffer.alloc(1 << 20)
for (let i = 0; i < block.length; i++) block[i] = (i * 7 + (i >> 9)) & 255
const digestOf = count => { const sum = createHash('sha1'); for (let i = 0; i < count; i++) sum.update(block); return sum.digest('hex') }
const python = existsSync('/usr/bin/python3') && await run('/usr/bin/python3', ['-c', 'import aiohttp']).then(() => true, () => false)

// /down, /down/chunked: so many mebibytes; anything else with a body: its digest and how it came.
function files () {
  return http.createServer((req, res) => {
    if (req.url.startsWith('/down')) {
      if (req.url === '/down') res.setHeader('Content-Length', mebibytes << 20)
      let left = mebibytes
      const more = () => { while (left-- > 0) if (!res.write(block)) return res.once('drain', more); res.end() }
      return more()
    }
    const sum = createHash('sha1')
    let bytes = 0
    req.on('data', data => { sum.update(data); bytes += data.length }).on('end', () => res.end(JSON.stringify({
      bytes, digest: sum.digest('hex'), chunked: req.headers['transfer-encoding'] ?? null, expect: req.headers.expect ?? null, version: req.httpVersion, port: req.socket.remotePort
    })))
  })
}

function expressServer () {
  const app = express()
  app.get('/express/page', (req, res) => res.type('html').send('<title>served</title>'))
  app.post('/express/json', express.json(), (req, res) => res.status(201).json({ got: req.body, proto: req.headers['x-forwarded-proto'] }))
  app.get('/express/redirect', (req, res) => res.redirect('/express/page'))
  app.get('/express/none', (req, res) => res.sendStatus(204))
  // One event; the next only when the page has said that it saw that one, so whatever holds one back stops the story.
  let stream, seen
  app.get('/express/events', (req, res) => {
    res.type('text/event-stream').flushHeaders()
    seen = 0
    stream = res
    res.write('data: 0\n\n')
  })
  app.post('/express/seen', (req, res) => {
    seen++
    setTimeout(() => seen < 5 ? stream.write(`data: ${seen}\n\n`) : stream.end('event: bye\ndata: \n\n'), seen === 3 ? 900 : 0) // longer than `response`
    res.sendStatus(204)
  })
  return http.createServer(app)
}

const aiohttpServer = `
import asyncio, hashlib, sys
from aiohttp import web, WSMsgType
async def total(request):
    digest, size = hashlib.sha1(), 0
    async for part in request.content.iter_any():
        digest.update(part); size += len(part)
    return web.json_response({'bytes': size, 'digest': digest.hexdigest()})
async def stream(request):
    answer = web.StreamResponse()
    answer.enable_chunked_encoding()
    await answer.prepare(request)
    for i in range(100):
        await answer.write(b'%d ' % i)
    await answer.write_eof()
    return answer
async def chat(request):
    ws = web.WebSocketResponse()
    await ws.prepare(request)
    async for message in ws:
        if message.type == WSMsgType.TEXT:
            await ws.send_str('python heard ' + message.data)
    return ws
app = web.Application(client_max_size=1 << 30)
app.add_routes([web.post('/aiohttp/total', total), web.put('/aiohttp/total', total), web.get('/aiohttp/stream', stream), web.get('/aiohttp/chat', chat)])
web.run_app(app, host='127.0.0.1', port=int(sys.argv[1]), print=None)
`

let turnout, dir, file, ioServer, ws
const children = []
const servers = {}
const listenOn = server => new Promise(resolve => server.listen(0, '127.0.0.1', () => resolve(server)))
const portOf = server => server.address().port
const start = (...command) => { const child = spawn(command[0], command.slice(1), { stdio: ['ignore', 'ignore', 'inherit'] }); children.push(child); return child }
const answers = port => until(() => canConnect(port), `something listens on ${port}`)

before(async () => {
  dir = mkdtempSync(path.join(os.tmpdir(), 'turnout-http-'))
  file = path.join(dir, 'up')
  writeFileSync(file, '')
  for (let i = 0; i < mebibytes; i++) writeFileSync(file, block, { flag: 'a' })
  servers.files = await listenOn(files())
  servers.express = await listenOn(expressServer())
  servers.io = await listenOn(http.createServer())
  ioServer = new Server(servers.io)
  ioServer.on('connection', socket => socket.on('ask', (text, tell) => tell(`${text} over ${socket.conn.transport.name}`)))
  ws = new WebSocketServer({ server: servers.files })
  ws.on('connection', socket => socket.on('message', data => socket.send(data)))
  const python = await freePort()
  writeFileSync(path.join(dir, 'server.py'), aiohttpServer)
  if (existsSync('/usr/bin/python3')) start('/usr/bin/python3', path.join(dir, 'server.py'), String(python))

  const front = await freePort()
  const behind = await freePort()
  turnout = await Turnout.start(t => `listeners: [ { listen: 127.0.0.1:${t.port} } ]
timeouts: { response: 500ms }
pools:
  files: { servers: [ 127.0.0.1:${portOf(servers.files)} ] }
  express: { servers: [ 127.0.0.1:${portOf(servers.express)} ] }
  aiohttp: { servers: [ 127.0.0.1:${python} ] }
  io: { servers: [ 127.0.0.1:${portOf(servers.io)} ] }
  behind: { servers: [ 127.0.0.1:${behind} ] }
routes:
  - { match: { prefix: /express }, pool: express, timeouts: { tunnel_idle: 10s } }
  - { match: { prefix: /aiohttp }, pool: aiohttp }
  - { match: { prefix: /socket.io }, pool: io, timeouts: { response: 60s } }
  - { match: { host: behind.example }, pool: behind, timeouts: { response: 60s } }
  - { pool: files, timeouts: { response: 60s } }
`)
  turnout.front = front
  const haproxy = path.join(dir, 'haproxy.cfg')
  writeFileSync(haproxy, `defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen front
  bind 127.0.0.1:${front}
  server turnout 127.0.0.1:${turnout.port}
listen behind
  bind 127.0.0.1:${behind}
  server files 127.0.0.1:${portOf(servers.files)}
`)
  if (existsSync('/usr/sbin/haproxy')) { start('/usr/sbin/haproxy', '-db', '-f', haproxy); await answers(front) }
  if (python && existsSync('/usr/bin/python3')) await Promise.race([answers(python), new Promise(resolve => children[0].on('exit', resolve))])
})
after(async () => {
  ws.close()
  ioServer.close()
  for (const server of Object.values(servers)) { server.closeAllConnections(); server.close() }
  for (const child of children) child.kill('SIGTERM')
  await turnout.stop()
  rmSync(dir, { recursive: true })
})

const url = (path, port = turnout.port) => `http://127.0.0.1:${port}${path}`
const noHaproxy = !existsSync('/usr/sbin/haproxy') && 'no HAProxy'
const curl = async (...args) => (await run('curl', ['-sS', '--fail-with-body', '--max-time', '300', ...args], { maxBuffer: 1 << 20 })).stdout
// What curl got, as a digest.
async function curlDigest (...args) {
  const child = spawn('curl', ['-sS', '--fail', '--max-time', '300', ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  const sum = createHash('sha1')
  for await (const data of child.stdout) sum.update(data)
  return sum.digest('hex')
}

const long = { timeout: 600000 }
test(`curl: ${mebibytes} MiB down with a length, in chunks, and to HTTP/1.0`, long, async () => {
  const wanted = digestOf(mebibytes)
  assert.equal(await curlDigest(url('/down')), wanted)
  assert.equal(await curlDigest(url('/down/chunked')), wanted)
  assert.equal(await curlDigest('--http1.0', url('/down/chunked')), wanted)
})
test(`curl: ${mebibytes} MiB up with a length and Expect: 100-continue, and in chunks`, long, async () => {
  const wanted = digestOf(mebibytes)
  const one = JSON.parse(await curl('-T', file, '-H', 'Expect: 100-continue', url('/up')))
  assert.deepEqual([one.bytes, one.digest, one.chunked, one.expect], [mebibytes << 20, wanted, null, '100-continue'])
  const two = JSON.parse(await curl('-T', file, '-H', 'Transfer-Encoding: chunked', url('/up')))
  assert.deepEqual([two.bytes, two.digest, two.chunked], [mebibytes << 20, wanted, 'chunked'])
})
test('curl: HTTP/1.0 up, and the server hears HTTP/1.1', async () => {
  const got = JSON.parse(await curl('--http1.0', '-d', 'hello', url('/up')))
  assert.deepEqual([got.bytes, got.version], [5, '1.1'])
})
test('curl: several requests over one connection, HEAD among them', async () => {
  const out = await curl('-w', '%{num_connects} ', '-o', '/dev/null', '-d', 'a', url('/a'), '--next', '-sS', '-w', '%{num_connects} ', '-o', '/dev/null', '-I', url('/b'),
    '--next', '-sS', '-w', '%{num_connects} ', '-o', '/dev/null', url('/express/page'))
  assert.equal(out.trim(), '1 0 0')
  assert.match(await curl('-I', url('/express/page')), /^HTTP\/1.1 200 [\s\S]*content-length: 21/i)
})
test('fetch: hundreds of requests over few connections, in either direction', async () => {
  const ports = new Set()
  for (let i = 0; i < 300; i++) {
    const got = await (await fetch(url(`/f${i}`), { method: 'POST', body: 'x'.repeat(i) })).json()
    assert.equal(got.bytes, i)
    ports.add(got.port)
  }
  assert.ok(ports.size <= 4, `${ports.size} connections to the server`)
})
test('fetch: a stream up, without a known length', async () => {
  const body = new ReadableStream({ start (c) { for (let i = 0; i < 10; i++) c.enqueue(new TextEncoder().encode(`part ${i} `)); c.close() } })
  const got = await (await fetch(url('/up'), { method: 'POST', body, duplex: 'half' })).json()
  assert.deepEqual([got.bytes, got.chunked], [70, 'chunked'])
})
test('fetch: fifty at once', async () => {
  const got = await Promise.all(Array.from({ length: 50 }, async (_, i) => (await fetch(url(`/g${i}`), { method: 'PUT', body: block.subarray(0, i * 1000) })).json()))
  assert.deepEqual(got.map(g => g.bytes), got.map((_, i) => i * 1000))
})
test('Express: pages, JSON, redirects, 204, 404', async () => {
  assert.match(await (await fetch(url('/express/page'))).text(), /served/)
  const made = await fetch(url('/express/json'), { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"a":[1,2]}' })
  assert.deepEqual([made.status, await made.json()], [201, { got: { a: [1, 2] }, proto: 'http' }])
  assert.equal((await fetch(url('/express/redirect'))).url, url('/express/page'))
  assert.equal((await fetch(url('/express/none'))).status, 204)
  assert.equal((await fetch(url('/express/nothing'))).status, 404)
  const etag = (await fetch(url('/express/page'))).headers.get('etag')
  assert.equal(await curl('-H', `If-None-Match: ${etag}`, '-w', '%{http_code}', url('/express/page')), '304')
})
test('aiohttp: a body up, chunks down, and its WebSocket', { skip: !python && 'no aiohttp' }, async () => {
  const got = JSON.parse(await curl('-T', file, url('/aiohttp/total')))
  assert.deepEqual([got.bytes, got.digest], [mebibytes << 20, digestOf(mebibytes)])
  assert.equal(await (await fetch(url('/aiohttp/stream'))).text(), Array.from({ length: 100 }, (_, i) => `${i} `).join(''))
  const socket = new WebSocket(url('/aiohttp/chat').replace('http', 'ws'))
  await new Promise((resolve, reject) => socket.on('open', resolve).on('error', reject))
  socket.send('hello')
  assert.equal(String(await new Promise(resolve => socket.once('message', resolve))), 'python heard hello')
  socket.close()
})
test('socket.io that stays with polling', async () => {
  const socket = io(url(''), { transports: ['polling'], reconnection: false })
  await new Promise((resolve, reject) => socket.on('connect', resolve).on('connect_error', reject))
  for (let i = 0; i < 20; i++) assert.equal(await socket.emitWithAck('ask', `question ${i}`), `question ${i} over polling`)
  socket.close()
})
test('EventSource in Chromium: each event at once, and silence is no end', { skip: !existsSync('/usr/bin/chromium') && 'no Chromium' }, async () => {
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']
  })
  try {
    const page = await browser.newPage()
    await page.goto(url('/express/page'))
    assert.deepEqual(await page.evaluate(() => new Promise((resolve, reject) => {
      const source = new EventSource('/express/events')
      const got = []
      source.onmessage = event => { got.push(event.data); fetch('/express/seen', { method: 'POST' }) }
      source.addEventListener('bye', () => { source.close(); resolve(got) })
      source.onerror = () => reject(new Error(`ended after ${got}`))
    })), ['0', '1', '2', '3', '4'])
  } finally {
    await browser.close()
  }
})
for (const [where, port, host] of [['in front of us', () => turnout.front, 'x'], ['behind us', () => turnout.port, 'behind.example']]) {
  test(`HAProxy ${where}: up, down, kept connections, WebSocket`, { skip: noHaproxy, ...long }, async () => {
    const at = path => url(path, port())
    assert.equal(await curlDigest('-H', `Host: ${host}`, at('/down')), digestOf(mebibytes))
    assert.equal(await curlDigest('-H', `Host: ${host}`, at('/down/chunked')), digestOf(mebibytes))
    const up = JSON.parse(await curl('-H', `Host: ${host}`, '-H', 'Transfer-Encoding: chunked', '-T', file, at('/up')))
    assert.deepEqual([up.bytes, up.digest], [mebibytes << 20, digestOf(mebibytes)])
    const many = await curl('-H', `Host: ${host}`, '-w', '%{num_connects} ', '-o', '/dev/null', at('/[1-50]'))
    assert.equal(many.trim(), ['1', ...Array(49).fill('0')].join(' '))
    const socket = new WebSocket(at('/').replace('http', 'ws'), { headers: { host } })
    await new Promise((resolve, reject) => socket.on('open', resolve).on('error', reject))
    socket.send(block)
    assert.ok(block.equals(await new Promise(resolve => socket.once('message', resolve))))
    socket.close()
  })
}
