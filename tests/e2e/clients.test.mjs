// Real clients through the balancer, ws and wss: they know best what breaks them.
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import http from 'node:http'
import os from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { chromium } from 'playwright-core'
import { Server } from 'socket.io'
import { io } from 'socket.io-client'
import WebSocket, { WebSocketServer } from 'ws'
import { Turnout, freePort } from './lib/turnout.mjs'

let turnout, dir, securePort, wsServer, ioHttp, ioServer

before(async () => {
  dir = mkdtempSync(path.join(os.tmpdir(), 'turnout-clients-'))
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30', '-keyout', `${dir}/k.key`,
    '-out', `${dir}/k.crt`, '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'], { stdio: 'ignore' })
  wsServer = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: true, handleProtocols: p => [...p][0] })
  wsServer.on('connection', ws => ws.on('message', (data, isBinary) => ws.send(data, { binary: isBinary })))
  await new Promise(resolve => wsServer.on('listening', resolve))
  ioHttp = http.createServer()
  ioServer = new Server(ioHttp)
  ioServer.on('connection', socket => socket.on('ask', (text, tell) => tell(`${text} answered over ${socket.conn.transport.name}`)))
  await new Promise(resolve => ioHttp.listen(0, '127.0.0.1', resolve))
  securePort = await freePort()
  turnout = await Turnout.start(t => `listeners:
  - listen: 127.0.0.1:${t.port}
  - { listen: 127.0.0.1:${securePort}, tls: { mode: terminate, certificates: [ { cert: ${dir}/k.crt, key: ${dir}/k.key } ] } }
pools:
  ws: { servers: [ 127.0.0.1:${wsServer.address().port} ] }
  io: { servers: [ 127.0.0.1:${ioHttp.address().port} ] }
routes:
  - { match: { prefix: /socket.io }, pool: io }
  - { pool: ws }
`)
})
after(async () => {
  for (const ws of wsServer.clients) ws.terminate()
  wsServer.close()
  ioServer.close()
  await turnout.stop()
  rmSync(dir, { recursive: true })
})

const places = () => [['ws', `ws://127.0.0.1:${turnout.port}`], ['wss', `wss://localhost:${securePort}`]]

for (const i of [0, 1]) {
  const name = ['ws', 'wss'][i]
  test(`the ws client over ${name}: compression, subprotocol, 1 MiB, ping, close code`, async () => {
    const ws = new WebSocket(places()[i][1] + '/chat', ['chat.v2', 'chat.v1'], { ca: readFileSync(`${dir}/k.crt`), perMessageDeflate: true })
    await new Promise((resolve, reject) => ws.on('open', resolve).on('error', reject))
    assert.equal(ws.protocol, 'chat.v2')
    assert.match(ws.extensions, /permessage-deflate/)
    const ask = data => new Promise(resolve => { ws.once('message', resolve); ws.send(data) })
    assert.equal((await ask('häll😀')).toString(), 'häll😀')
    const big = Buffer.alloc(1 << 20, 'abc')
    assert.ok(big.equals(await ask(big)))
    await new Promise(resolve => { ws.once('pong', resolve); ws.ping() })
    ws.close(4001, 'bye')
    await new Promise(resolve => ws.on('close', resolve))
    const line = await turnout.event(e => e.event === 'close' && e.close_code_client === 4001)
    assert.equal(line.reason, 'DONE')
  })
  test(`socket.io over ${name}: polling, then the upgrade`, async () => {
    const socket = io(places()[i][1].replace('ws', 'http'), { ca: readFileSync(`${dir}/k.crt`), reconnection: false })
    await new Promise((resolve, reject) => socket.on('connect', resolve).on('connect_error', reject))
    if (socket.io.engine.transport.name !== 'websocket') await new Promise(resolve => socket.io.engine.once('upgrade', resolve))
    assert.equal(await socket.emitWithAck('ask', 'question'), 'question answered over websocket')
    socket.close()
  })
  test(`Python's websockets over ${name}`, { skip: !existsSync('/usr/bin/python3') }, async () => {
    const script = `
import asyncio, ssl, sys, websockets
async def main():
    context = ssl.create_default_context(cafile=sys.argv[2]) if sys.argv[1].startswith('wss') else None
    async with websockets.connect(sys.argv[1], ssl=context) as ws:
        for data in ('text', b'\\0' * 70000):
            await ws.send(data)
            assert await ws.recv() == data
        await (await ws.ping())
asyncio.run(main())
print('good')`
    const child = spawn('/usr/bin/python3', ['-c', script, places()[i][1] + '/', `${dir}/k.crt`])
    let out = ''
    child.stdout.on('data', data => { out += data })
    child.stderr.on('data', data => { out += data })
    assert.equal(await new Promise(resolve => child.on('close', resolve)), 0, out)
    assert.equal(out.trim(), 'good')
  })
}
test('Chromium\'s WebSocket, ws and wss, from a page that the balancer serves', { skip: !existsSync('/usr/bin/chromium') && 'no Chromium' }, async () => {
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']
  })
  try {
    const page = await (await browser.newContext({ ignoreHTTPSErrors: true })).newPage()
    await page.goto(`https://localhost:${securePort}/socket.io/socket.io.js`)
    for (const url of [`wss://localhost:${securePort}/x`]) {
      assert.equal(await page.evaluate(url => new Promise((resolve, reject) => {
        const ws = new WebSocket(url)
        ws.onopen = () => ws.send('from the browser')
        ws.onmessage = event => { resolve(event.data); ws.close() }
        ws.onerror = () => reject(new Error('no'))
      }), url), 'from the browser')
    }
    await page.goto(`http://127.0.0.1:${turnout.port}/socket.io/socket.io.js`)
    assert.equal(await page.evaluate(url => new Promise((resolve, reject) => {
      const ws = new WebSocket(url)
      ws.onopen = () => ws.send('plain')
      ws.onmessage = event => { resolve(event.data); ws.close() }
      ws.onerror = () => reject(new Error('no'))
    }), `ws://127.0.0.1:${turnout.port}/x`), 'plain')
  } finally {
    await browser.close()
  }
})
