// Plain requests while something changes under them, and by other ways than IPv4: reload, drain, TLS, IPv6.
import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import os from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { Wire, plain } from './lib/raw.mjs'
import { Turnout, freePort, until } from './lib/turnout.mjs'

const run = promisify(execFile)
const size = 48 << 20
let dir, four, six
const held = []
const serve = (req, res) => {
  if (req.url === '/held') { held.push(res); return }
  if (req.url === '/down') { res.setHeader('Content-Length', size); res.end(Buffer.alloc(size, 'x')); return }
  let bytes = 0
  req.on('data', data => { bytes += data.length }).on('end', () => res.end(JSON.stringify({ bytes, headers: req.headers, family: req.socket.remoteFamily })))
}
before(async () => {
  dir = mkdtempSync(path.join(os.tmpdir(), 'turnout-changes-'))
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30', '-keyout', `${dir}/k.key`,
    '-out', `${dir}/k.crt`, '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'], { stdio: 'ignore' })
  four = http.createServer(serve)
  six = http.createServer(serve)
  await new Promise(resolve => four.listen(0, '127.0.0.1', resolve))
  await new Promise(resolve => six.listen(0, '::1', resolve))
})
after(() => { for (const server of [four, six]) { server.closeAllConnections(); server.close() } rmSync(dir, { recursive: true }) })

const conf = (t, server = `127.0.0.1:${four.address().port}`) => `listeners: [ { listen: 127.0.0.1:${t.port} } ]\npools: { main: { servers: [ "${server}" ] } }\n`
// Reads the answer's head, and then nothing until it is told.
async function slowReader (port) {
  const wire = await Wire.connect(port)
  wire.send(plain('/down'))
  const { status } = await wire.head()
  assert.equal(status, 200)
  let count = wire.got.length
  wire.socket.removeAllListeners('data')
  wire.socket.pause()
  return {
    wire,
    rest: () => new Promise((resolve, reject) => {
      wire.socket.on('data', data => { count += data.length; if (count === size) resolve(count) }).on('close', () => reject(new Error(`${count} of ${size}`)))
      wire.socket.resume()
    })
  }
}

test('a download goes on through reloads, also when its server is taken away', async () => {
  const t = await Turnout.start(t => conf(t))
  const reader = await slowReader(t.port)
  t.write(conf(t, `[::1]:${six.address().port}`))
  assert.equal(t.command('reload').code, 0)
  const wire = await Wire.connect(t.port)
  wire.send(plain('/a'))
  const head = await wire.head()
  assert.equal(JSON.parse((await wire.take(Number(head.fields['content-length']))).toString()).family, 'IPv6')
  assert.equal(t.command('reload').code, 0)
  assert.equal(await reader.rest(), size)
  reader.wire.close()
  wire.close()
  await t.stop()
})
test('a request that is under way when the process is told to stop is answered, and the connection closes', async () => {
  const t = await Turnout.start(t => conf(t))
  const waits = await Wire.connect(t.port)
  const reader = await slowReader(t.port)
  waits.send(plain('/held'))
  await until(() => held.length > 0)
  t.child.kill('SIGTERM')
  await t.event(e => e.event === 'stop')
  held.pop().end('late')
  const head = await waits.head()
  assert.deepEqual([head.status, head.fields.connection], [200, 'close'])
  assert.equal(await waits.closed(), 'FIN')
  assert.equal(await reader.rest(), size)
  reader.wire.close()
  await t.stop()
})
test('https: up, down, kept, and the server knows', async () => {
  const t = await Turnout.start(t => conf(t).replace(`{ listen: 127.0.0.1:${t.port} }`, `{ listen: 127.0.0.1:${t.port}, tls: { mode: terminate, certificates: [ { cert: ${dir}/k.crt, key: ${dir}/k.key } ] } }`))
  const file = path.join(dir, 'up')
  writeFileSync(file, Buffer.alloc(size, 'y'))
  const curl = async (...args) => (await run('curl', ['-sS', '--fail', '--cacert', `${dir}/k.crt`, ...args])).stdout
  const at = p => `https://localhost:${t.port}${p}`
  const up = JSON.parse(await curl('-T', file, at('/up')))
  assert.deepEqual([up.bytes, up.headers['x-forwarded-proto'], up.headers['x-forwarded-port']], [size, 'https', String(t.port)])
  assert.match(up.headers.forwarded, /proto=https/)
  assert.equal(JSON.parse(await curl('-T', file, '-H', 'Transfer-Encoding: chunked', at('/up'))).bytes, size)
  assert.equal(await curl('-o', '/dev/null', '-w', '%{size_download}', at('/down')), String(size))
  assert.equal((await curl('-w', '%{num_connects} ', '-o', '/dev/null', at('/[1-5]'))).trim(), '1 0 0 0 0')
  await t.stop()
})
test('IPv6 on both sides, and in what the server is told', async () => {
  const port = await freePort()
  const t = await Turnout.start(t => conf(t, `[::1]:${six.address().port}`).replace(`{ listen: 127.0.0.1:${t.port} }`, `{ listen: "[::1]:${port}" }, { listen: 127.0.0.1:${t.port} }`))
  const told = JSON.parse((await run('curl', ['-sS', '-d', 'hello', `http://[::1]:${port}/a`])).stdout)
  assert.deepEqual([told.bytes, told.family, told.headers['x-forwarded-for'], told.headers.host], [5, 'IPv6', '::1', `[::1]:${port}`])
  assert.match(told.headers.forwarded, /for="\[::1\]"/)
  assert.match(told.headers.forwarded, new RegExp(`host="\\[::1\\]:${port}"`))
  const four = JSON.parse((await run('curl', ['-sS', `http://127.0.0.1:${t.port}/a`])).stdout)
  assert.equal(four.headers['x-forwarded-for'], '127.0.0.1')
  await t.stop()
})
