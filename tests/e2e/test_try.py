import os, subprocess, sys, time, json
from tests.e2e.controller import Controller
def test_try(simulator, tmp_path):
    c=Controller(simulator, tmp_path, {n:{} for n in ("db1","db2","db3")})
    c.put_in_service()
    real=subprocess.run
    def timed(command, **kw):
        kw.pop("check",None); kw.pop("text",None)
        t0=time.time(); last=[None,t0]; out=[]
        p=subprocess.Popen(command, cwd=kw["cwd"], env=kw["env"], stdin=kw["stdin"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for line in p.stdout:
            out.append(line)
            if line.startswith(("TASK","PLAY")):
                now=time.time()
                if last[0]: print(f"{now-last[1]:.2f}  {last[0]}")
                last=[line.strip().replace("*",""),now]
        print(f"{time.time()-t0:.2f} TOTAL")
        return subprocess.CompletedProcess(command,p.wait(),"".join(out))
    subprocess.run=timed
    try:
      for args in ([],[],["--check"]):
        r=c.run("nomba.auth.rotate", *args, credential_rotation_batch=2, credential_rotation_force=bool(args))
        print(r.output[-2500:], r.status)
        print("HEADERS", r.output.count("TASK ["))
    finally: subprocess.run=real
    print(json.dumps(c.state["events"],indent=1))
